# Recipes run in the project's environment: call them through ./justw, which makes it.

# list the recipes
default:
    @just --list

# the whole pipeline on a simulated world, or on your own folder: ./justw demo --videos FOLDER
demo *args:
    ophclip demo {{ args }}

# style, types, import directions, then the quick tests
test *args: check
    OMP_NUM_THREADS=1 python -m pytest -n auto --maxprocesses 4 --dist loadfile {{ args }}

# the tests that take longer: whole runs, two processes, real engines
test-slow *args:
    OMP_NUM_THREADS=1 python -m pytest -n auto --maxprocesses 4 --dist loadfile -m slow {{ args }}

# style, types and import directions
check:
    ruff check .
    ruff format --check .
    mypy
    lint-imports

# mend what can be mended by machine
format:
    ruff check --fix .
    ruff format .

# measurements against a peer in one run, and the table against the goals
bench:
    python -m benchmarks

# resolve the dependencies anew into requirements.lock (the gcs extra alone is not in it: its client is half as large again)
lock:
    uv pip compile pyproject.toml --extra demo --extra dev --extra s3 --universal --python-version 3.10 --generate-hashes \
        --no-emit-index-url --no-annotate --quiet -o requirements.lock

