"""Tokens: shown once, kept as hashes, compared in full, gone when they are revoked."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ophclip.cli import app
from ophclip.serving.tokens import Scope, TokenFile, create_token, read_tokens, revoke_token


def test_a_token_is_kept_as_its_hash_in_a_file_of_the_owner(tmp_path: Path) -> None:
    file = tmp_path / "made" / "tokens.json"
    before = os.umask(0)
    try:
        secret = create_token(file, "page", Scope.READ)
    finally:
        os.umask(before)
    assert len(secret) > 40
    assert secret not in file.read_text()
    assert hashlib.sha256(secret.encode()).hexdigest() in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    other = create_token(file, "ops", Scope.ADMIN)
    assert [(one.name, one.scope) for one in read_tokens(file)] == [("page", Scope.READ), ("ops", Scope.ADMIN)]
    held = TokenFile(file)
    found = held.find(secret), held.find(other)
    assert [token.name for token in found if token] == ["page", "ops"]
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), "\udce9", read_tokens(file)[0].sha256):
        assert held.find(wrong) is None


def test_a_running_service_sees_what_is_revoked(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    secret, other = create_token(file, "page", Scope.READ), create_token(file, "ops", Scope.ADMIN)
    held = TokenFile(file)
    assert held.find(secret) is not None
    revoke_token(file, "page")
    assert held.find(secret) is None
    assert held.find(other) is not None
    with pytest.raises(ValueError, match="no token named 'page'; it holds ops"):
        revoke_token(file, "page")
    file.unlink()
    assert held.find(other) is None


def test_every_entry_is_compared_whichever_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tokens.json"
    secrets = [create_token(file, f"n{number}", Scope.READ) for number in range(3)]
    held, compared = TokenFile(file), []
    compare = hmac.compare_digest

    def counted(one: str, other: str) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    for secret in (*secrets, "wrong"):
        compared.clear()
        held.find(secret)
        assert len(compared) == 3


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "é"])
def test_a_name_that_could_confuse_a_log_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no name"):
        create_token(tmp_path / "tokens.json", name, Scope.READ)
    assert not list(tmp_path.iterdir())


def test_a_file_that_others_may_read_or_that_is_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    with pytest.raises(ValueError, match="make one with `ophclip token create`"):
        TokenFile(file)
    create_token(file, "page", Scope.READ)
    with pytest.raises(ValueError, match="there is a token named page"):
        create_token(file, "page", Scope.ADMIN)
    file.chmod(0o640)
    with pytest.raises(ValueError, match="other users may read it; run `chmod 600"):
        read_tokens(file)
    for text in ("", "[]", '{"tokens": [{}]}', '{"tokens": [{"scope": "root"}]}', '{"tokens": 3}'):
        file.write_text(text)
        file.chmod(0o600)
        with pytest.raises(ValueError, match="no file of tokens"):
            read_tokens(file)


def test_the_command_prints_the_secret_once(tmp_path: Path) -> None:
    file, runner = tmp_path / "tokens.json", CliRunner()
    made = runner.invoke(app, ["token", "create", "--scope", "read", "--name", "page", "--file", str(file)])
    assert made.exit_code == 0, made.output
    assert TokenFile(file).find(made.stdout.strip()) is not None
    listed = runner.invoke(app, ["token", "list", "--file", str(file)]).stdout
    assert listed.startswith(f"page\tread\t{time.gmtime().tm_year}")
    assert made.stdout.strip() not in listed
    assert runner.invoke(app, ["token", "revoke", "page", "--file", str(file)]).exit_code == 0
    assert read_tokens(file) == ()
