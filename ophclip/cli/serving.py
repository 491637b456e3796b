"""`ophclip serve` and `ophclip token`: the service over an index, and who may ask it."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ophclip.cli.arguments import Overrides, quoted

app = typer.Typer(rich_markup_mode=None)
tokens = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make, list and revoke tokens of the service.")
app.add_typer(tokens, name="token")
TokenFileOption = Annotated[Path, typer.Option("--file", metavar="TOKENS.json", help="File of tokens.")]


class ScopeName(StrEnum):
    """What a token opens."""

    READ = "read"
    ADMIN = "admin"


@app.command()
def serve(
    folder: Annotated[Path, typer.Argument(metavar="INDEX", help="Index folder.")],
    overrides: Overrides = None,
    host: Annotated[str, typer.Option(help="Address to listen on; one that others reach needs tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option("--tokens", metavar="TOKENS.json", help="Who may ask; see `ophclip token`.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="The bundle that made the index, if it was moved.")] = None,
) -> None:
    """Answer searches over HTTP and show the page, until stopped. The log goes to standard error, without content."""
    from ophclip.composing import compose
    from ophclip.search.catalogue import CATALOGUE_NAME, Catalogue
    from ophclip.serving.tokens import read_tokens
    from ophclip.serving_options import ServingConfig

    paths = {"tokens": token_file, "bundle": bundle}
    given = [f"{name}={quoted(path)}" for name, path in paths.items() if path is not None]
    config = compose("serve", [f"host='{host}'", f"port={port}", *given, *(overrides or [])], ServingConfig)
    Catalogue.open(folder / CATALOGUE_NAME).close()
    if config.tokens:
        read_tokens(Path(config.tokens))
    from ophclip.serving.run import serve as run

    run(folder, config)
    # Nothing is open any more, and Python would take several seconds to clear torch away.
    os._exit(0)


@tokens.command()
def create(
    scope: Annotated[ScopeName, typer.Option(help="read: search and play; admin: also figures and reloading.")],
    name: Annotated[str, typer.Option(help="Whose it is; the log tells it.")],
    file: TokenFileOption,
) -> None:
    """Make a token and print it. It is shown this once: the file holds only its hash."""
    from ophclip.serving.tokens import Scope, create_token

    typer.echo(create_token(file, name, Scope(scope.value)))


@tokens.command("list")
def list_tokens(file: TokenFileOption) -> None:
    """Say whose tokens there are."""
    from ophclip.serving.tokens import read_tokens

    for token in read_tokens(file):
        typer.echo(f"{token.name}\t{token.scope.value}\t{token.created}")


@tokens.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Whose token.")],
    file: TokenFileOption,
) -> None:
    """Take a token back; a running service refuses it from the next request on."""
    from ophclip.serving.tokens import revoke_token

    revoke_token(file, name)
