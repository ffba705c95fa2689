# For the scripts here: skip REASON ends with exit code 77; make_environment FOLDER REQUIREMENTS PYTHON makes a virtual
# environment with these packages, the first time and when the list changes, or skips. $scratch is a folder for its log.

skip() {
  printf 'SKIPPED: %s\n' "$1"
  exit 77
}

make_environment() {
  local environment=$1 requirements=$2 python=$3
  if [[ -f $environment/.requirements ]] && cmp -s "$environment/.requirements" "$requirements"; then
    return
  fi
  rm -rf "$environment"
  "$python" -m venv "$environment" >"$scratch/log" 2>&1 ||
    skip "$python -m venv fails (apt-get install python3-venv): $(tail -n 1 "$scratch/log")"
  timeout 600 "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --retries 1 --no-deps \
    --only-binary :all: -r "$requirements" >"$scratch/log" 2>&1 ||
    skip "the packages of $requirements cannot be had: $(grep -v '^ *$' "$scratch/log" | tail -n 1)"
  cp "$requirements" "$environment/.requirements"
}
