# make train   makes the environment, trains two methods at four noise rates on data that needs no download, and reports
# make test      makes the environment if needed and passes the tests but for the slow ones, several at a time
# make test-all  passes all tests
# make docs    builds the site of the guides and the API into site/; make docs-serve shows it while pages are written
# make board   opens TensorBoard on outputs/ (runs with logger=tensorboard)
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DOCS ?= $(VENV)-docs
ARGS ?=

.PHONY: train test test-all board check format docs docs-serve clean

# A run for each CPU, with one thread: images of 8x8 are too small for more, which only wait for one another.
train: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m lnl.train -m experiment=digits_apl hydra/launcher=joblib $(ARGS)
	$(BIN)/python -m lnl.report runs=outputs/digits_apl 'names={ce: CE, apl_nfl_rce: "APL (NFL+RCE)"}'

# --dist loadscope: what a file's tests share is made once.
test: $(VENV)/.ready
	$(BIN)/python -m pytest -n auto --dist loadscope -m "not slow" $(ARGS)

test-all: $(VENV)/.ready
	$(BIN)/python -m pytest -n auto --dist loadscope $(ARGS)

board: $(VENV)/.ready
	$(BIN)/tensorboard --logdir outputs $(ARGS)

check: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DOCS)/.ready
	$(DOCS)/bin/mkdocs build --strict $(ARGS)

docs-serve: $(DOCS)/.ready
	$(DOCS)/bin/mkdocs serve $(ARGS)

clean:
	rm -rf $(VENV) $(DOCS) .pytest_cache .mypy_cache .ruff_cache build dist site

# The environment is made again when the dependencies change. uv takes a third of pip's time; it compiles bytecode,
# which Python writes at the first import unless PYTHONDONTWRITEBYTECODE forbids it. Where uv fails, pip does it.
$(VENV)/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lnl needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	{ command -v uv > /dev/null || $(BIN)/python -m pip install --quiet uv; } \
		&& PATH="$$PATH:$(BIN)" uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[dev]' \
		|| $(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# The site reads the source and imports none of it: its environment has what the extra names, and no torch.
$(DOCS)/.ready: pyproject.toml
	$(PYTHON) -m venv $(DOCS)
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' \
		> $(DOCS)/requirements.txt
	$(DOCS)/bin/python -m pip install --quiet --requirement $(DOCS)/requirements.txt
	touch $@
