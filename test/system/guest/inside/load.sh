# The loads: more memory than the guest has, every byte checked. Sourced by init.sh.

start_monitor() {
  perl "$here/monitor.pl" &
  monitor=$!
}

# A part of the memory is held all through, is pushed out by the loads, comes back with swapoff and is checked last.
run_loads() {
  perl "$here/load.pl" hold --bytes "$HOLD_BYTES" --seed 7 >/run/hold.log 2>&1 &
  holder=$!
  local tries start
  for ((tries = 0; tries < 300; tries++)); do
    grep -q holding /run/hold.log && break
    sleep 0.1
  done
  start=$(now_ms)
  if [ "$STRESS_SECONDS" -gt 0 ]; then
    step "stress-ng"
    stress-ng --vm "$STRESS_WORKERS" --vm-bytes "$LOAD_BYTES" --vm-method write64 --verify \
      --timeout "$STRESS_SECONDS" --temp-path /run >/run/stress.log 2>&1
    check_load stress $? /run/stress.log
    grep -q "successful run completed" /run/stress.log || fail "stress-ng did not report a successful run"
  fi
  if [ "$RANDOM_SECONDS" -gt 0 ]; then
    step "random access"
    perl "$here/load.pl" random --bytes "$LOAD_BYTES" --seconds "$RANDOM_SECONDS" --seed "$SEED" \
      --while "$WHILE_FILE" >/run/random.log 2>&1
    check_load random $? /run/random.log
    counts='pages=\([0-9]*\) reads=\([0-9]*\) writes=\([0-9]*\)'
    fields='randomPages=\1 randomReads=\2 randomWrites=\3'
    result "$(sed -n "s/^load: mode=random $counts.*/$fields/p" /run/random.log)"
  fi
  result loadMs=$(($(now_ms) - start))
}

# check_load NAME STATUS LOG
check_load() {
  sed "s/^/$1: /" "$3"
  result "$1Status=$2"
  [ "$2" = 0 ] || fail "the load $1 ended with status $2"
}

finish_hold() {
  kill -USR1 "$holder" || fail "the process that held memory is gone"
  wait "$holder"
  check_load hold $? /run/hold.log
  kill "$monitor"
}
