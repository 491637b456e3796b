# Recipes run in the project's environment: call them through ./justw, which makes it.

# list the recipes
default:
    @just --list

# the whole pipeline on a simulated world, or on your own folder: ./justw demo --videos FOLDER
demo *args:
    ophclip demo {{ args }}

# which part of the method earns its place, on a simulated world (hours on two cores): OUT/runs/ablation.md
ablation out="outputs/ablation":
    ophclip simulate {{ out }}/world --narrated 30 --silent 90 --held-out 0 --vague-titles 0 {{ _small_pictures }}
    ophclip simulate {{ out }}/vague_world --narrated 30 --silent 90 --held-out 0 --vague-titles 0.8 {{ _small_pictures }}
    ophclip simulate {{ out }}/site_a --narrated 20 --silent 0 --held-out 20 --seed 1 {{ _small_pictures }}
    ophclip simulate {{ out }}/site_b --narrated 20 --silent 0 --held-out 20 --seed 2 --site B {{ _small_pictures }}
    ophclip ingest {{ out }}/world/videos --out {{ out }}/corpus {{ _small_shards }}
    ophclip ingest {{ out }}/vague_world/videos --out {{ out }}/vague_corpus {{ _small_shards }}
    ophclip ingest {{ out }}/site_a/videos --out {{ out }}/site_a_corpus {{ _small_shards }}
    ophclip ingest {{ out }}/site_b/videos --out {{ out }}/site_b_corpus {{ _small_shards }}
    python -m ophclip.train "+exp=[simulated,ablation]" +validation=simulated data.root={{ out }}/corpus \
        hydra.sweep.dir={{ out }}/runs/informative
    python -m ophclip.train "+exp=[simulated,ablation]" +validation=simulated data.root={{ out }}/vague_corpus \
        hydra.sweep.dir={{ out }}/runs/vague variant=video,silent_pairs,live,live_ungated,both
    python -m ophclip.train "+exp=[simulated,ablation]" +validation=simulated data.root={{ out }}/corpus \
        hydra.sweep.dir={{ out }}/runs/half trainer.steps=30 variant=clip,views
    ophclip ablation {{ out }}/runs

_small_pictures := "--height-px 128 --max-fps 10"
_small_shards := "overlays.enabled=false shards.short_side_px=96 shards.video_frames=32"

# style, types, import directions, then the quick tests
test *args: check
    OMP_NUM_THREADS=1 python -m pytest -n auto --maxprocesses 4 --dist loadfile {{ args }}

# the tests that take longer: whole runs, two processes, real engines
test-slow *args:
    OMP_NUM_THREADS=1 python -m pytest -n auto --maxprocesses 4 --dist loadfile -m slow {{ args }}

# faults in full: ten thousand damaged files, ingest, training and index building broken at every point (hours); then
# an hour of everything at once on two cores, with kills and purges
soak cases="10000" out="outputs/soak":
    OMP_NUM_THREADS=1 python tests/e2e/fuzz_runner.py {{ cases }}
    OMP_NUM_THREADS=1 python -m pytest -m slow tests/e2e/test_ingest_faults.py
    OMP_NUM_THREADS=1 OPHCLIP_FAULT_STEP=1 python -m pytest -m slow tests/e2e/test_faults_stages.py
    OMP_NUM_THREADS=1 python tests/e2e/soak_runner.py {{ out }}

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
    uv pip compile pyproject.toml --extra demo --extra dev --extra postgres --extra ray --extra s3 --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --quiet -o requirements.lock

# every installed package with its licence into docs/licences.csv; fails if one is not allowed
licences:
    python deploy/licences.py >docs/licences.csv

# software bill of materials (CycloneDX) of what the lock installs; asks the package registry
sbom out="sbom.cdx.json":
    python deploy/bill_of_materials.py {{ out }}

# known vulnerabilities of what the lock installs; asks the registry's advisory service
audit:
    uv tool run pip-audit --requirement requirements.lock --require-hashes --disable-pip
