"""Models by name: a local path, a file of an installed package, or a name of the Hugging Face hub.

Hub names are looked up in the local cache; only `fetch` and `push` go to the network.
"""

from __future__ import annotations

from pathlib import Path

from ingest.weights import resolve_weights

_ANSWER_SECONDS = 30.0


def model_path(spec: str, option: str) -> Path:
    """The file or folder that `spec` names: a local path, `package:...`, or a hub name that lies in the cache.

    Raises:
        ValueError: nothing of that name is here; names `option`.
    """
    if not is_elsewhere(spec):
        return resolve_weights(spec)
    found = cached(spec)
    if found is None:
        raise ValueError(
            f"{option}: {spec} is neither a local folder nor in the Hugging Face cache; "
            "give the path of a folder with configuration, tokenizer and weights, or model.download=true to fetch it"
        )
    return found


def is_elsewhere(spec: str) -> bool:
    """Whether `spec` is a hub name, so that it means the same on every machine, and no path on this one."""
    return _is_hub_name(spec) and not Path(spec).expanduser().exists()


def cached(name: str) -> Path | None:
    """The folder of a hub name in the local cache, None if it is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError):
        return None


def fetch(name: str) -> Path:
    """The folder of a hub name, fetched where the cache lacks it: configuration, tokenizer and weights.

    Weights are taken as safetensors; a repository that has none gives its `.bin`, which is read as tensors only.

    Raises:
        ValueError: no hub name, or it cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if not _is_hub_name(name):
        raise ValueError(f"{name}: no such folder, and no hub name either; give a folder or OWNER/NAME")
    silent = not _answers(name)
    try:
        kinds = ["*.json", "*.txt", "*.safetensors"]
        folder = Path(snapshot_download(name, allow_patterns=kinds, local_files_only=silent))
        if not list(folder.glob("*.safetensors")):
            snapshot_download(name, allow_patterns="*.bin", local_files_only=silent)
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        reason = "it does not answer" if silent else next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{name}: cannot be fetched from the Hugging Face hub ({reason}); give a folder") from error
    return folder


def _answers(name: str) -> bool:
    """Whether the hub says anything at all of a model, be it no: its client waits for that without end."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled  # type: ignore[attr-defined]

    try:
        HfApi().model_info(name, revision="main", timeout=_ANSWER_SECONDS)
    except (HfHubHTTPError, OfflineModeIsEnabled):
        return True
    except HTTPError:
        return False
    return True


def fetch_missing(names: list[str]) -> None:
    """Fetch those of `names` that are hub names and neither local paths nor in the cache.

    Raises:
        ValueError: one of them cannot be fetched.
    """
    for name in names:
        if is_elsewhere(name) and cached(name) is None:
            fetch(name)


def push(folder: Path, name: str, *, public: bool = False) -> str:
    """Send a folder to the hub as one commit, with the token of the environment or of `hf auth login`.

    Args:
        folder: all files in it are sent.
        name: OWNER/NAME; made if it is not there.
        public: let everybody read it, if it is made now.

    Returns:
        The address of the commit.

    Raises:
        ValueError: no hub name, or the hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled  # type: ignore[attr-defined]

    if "/" not in name or not _is_hub_name(name):
        raise ValueError(f"{name}: no hub name; give OWNER/NAME")
    api = HfApi(library_name="ophclip")
    try:
        api.create_repo(name, private=not public, exist_ok=True)
        return str(api.upload_folder(repo_id=name, folder_path=folder, commit_message="A bundle of ophclip"))
    except (HTTPError, OfflineModeIsEnabled, OSError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(
            f"{name}: cannot be pushed to the Hugging Face hub ({reason}); "
            "log in with `hf auth login`, or take another name"
        ) from error


def _is_hub_name(name: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True
