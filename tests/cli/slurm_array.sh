#!/usr/bin/env bash
# tests/cli/slurm_array.sh QVL MODEL DATA FORMATS [OPTION...]: runs the scripts of docs/clusters.md, three shards and
# then the merge, on a Slurm of one node, and compares the merged report.json with that of a single run. OPTIONs are
# further options of `qvl sensitivity`. Slurm and munge are started here, as root, with all they need in a temporary
# folder, and ended again. Exit code 77 (skipped) with the reason when there is no Slurm or it does not start.
set -euo pipefail

if (($# < 4)); then
  echo "usage: tests/cli/slurm_array.sh QVL MODEL DATA FORMATS [OPTION...]" >&2
  exit 2
fi
qvl=$(realpath "$1") model=$(realpath "$2") data=$(realpath "$3") formats=$4
shift 4
options=("$@")
document=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/docs/clusters.md
readonly shards=3

skip() {
  printf 'skipped: %s\n' "$1"
  exit 77
}

for program in slurmctld slurmd munged mungekey sbatch sinfo scancel; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null ||
    skip "there is no $program; as root, on Debian: apt-get install slurm-wlm munge"
done
[[ $(id -u) == 0 ]] || skip "only root can start Slurm's daemons; this is $(id -un)"
PATH=$PATH:/usr/sbin

work=$(mktemp -d)
chmod 755 "$work" # munged refuses a socket that others cannot reach
daemons=()        # process ids, in the order of starting

end_daemon() { # PROCESS_ID
  kill "$1" 2>/dev/null || return 0
  for _ in {1..100}; do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
}

end_all() {
  local i
  # Jobs that still run go first: their supervisors outlive slurmd.
  if ((${#daemons[@]} == 3)); then
    timeout 20 scancel --user root 2>/dev/null || true
    for _ in {1..50}; do
      [[ -n $(timeout 5 squeue --noheader 2>/dev/null) ]] || break
      sleep 0.2
    done
  fi
  for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do end_daemon "${daemons[i]}"; done
  wait
  rm -rf "$work"
}
trap end_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

write_configuration() {
  local host major
  host=$(hostname -s)
  mkdir "$work/etc" "$work/munge" "$work/state" "$work/spool"
  export SLURM_CONF=$work/etc/slurm.conf
  cat >"$SLURM_CONF" <<TEXT
ClusterName=qvl
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$work/munge/socket
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
TEXT
  # From version 23 on a node asks for control groups even where nothing uses them.
  major=$(slurmd -V | sed -E 's/[^0-9]*([0-9]+).*/\1/')
  if ((major >= 23)); then
    echo "CgroupPlugin=disabled" >"$work/etc/cgroup.conf"
  fi
}

start_daemons() {
  mungekey --create --keyfile="$work/munge/key"
  munged --foreground --key-file="$work/munge/key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" \
    --seed-file="$work/munge/seed" >"$work/munged.log" 2>&1 &
  daemons+=($!)
  for _ in {1..100}; do
    [[ ! -S $work/munge/socket ]] || break
    sleep 0.1
  done
  slurmctld -D >"$work/slurmctld.log" 2>&1 &
  daemons+=($!)
  slurmd -D >"$work/slurmd.log" 2>&1 &
  daemons+=($!)
}

# The node is idle, within half a minute.
wait_for_node() {
  for _ in {1..60}; do
    if [[ $(timeout 5 sinfo --noheader --format=%T 2>/dev/null) == idle ]]; then
      return 0
    fi
    sleep 0.5
  done
  return 1
}

# The document's script whose second line is "# NAME" (and possibly more behind a colon).
take_script() { # NAME
  awk -v name="$1" '
    /^```sh$/ {text = ""; inside = 1; next}
    /^```$/ {if (inside && text ~ ("^#!/bin/sh\n# " name "[:\n]")) printf "%s", text; inside = 0}
    inside {text = text $0 "\n"}' "$document" >"$work/$1"
  if [[ ! -s $work/$1 ]]; then
    echo "$document has no script $1"
    exit 1
  fi
}

show_logs() {
  local log
  for log in "$work"/*.log; do
    printf -- '--- %s\n' "${log##*/}"
    tail -n 30 "$log"
  done
}

write_configuration
start_daemons
if ! wait_for_node; then
  show_logs
  skip "Slurm does not start here; its logs are above"
fi

for script in shard.sbatch merge.sbatch submit.sh; do take_script "$script"; done
export MODEL=$model DATA=$data FORMATS=$formats OUT=$work/report SHARDS=$shards QVL=$qvl OPTIONS="${options[*]}"
cd "$work"
if ! timeout 480 sh submit.sh; then
  show_logs
  echo "FAILED: the shards or their merge; the logs are above"
  exit 1
fi
folders=("$work"/report/shard-*)
if ((${#folders[@]} != shards)); then
  echo "FAILED: there are ${#folders[@]} shards' folders, $shards are expected"
  exit 1
fi

"$qvl" sensitivity "$model" --data "$data" --formats "$formats" --out "$work/single" --threads 1 --quiet "${options[@]}" \
  >"$work/single.log"
if ! cmp "$work/single/report.json" "$work/report/report.json"; then
  diff "$work/single/report.json" "$work/report/report.json" | head -n 40 || true
  echo "FAILED: the merged report.json is not that of a single run"
  exit 1
fi
echo "the report of $shards shards, run by $(slurmd -V), is that of a single run"
