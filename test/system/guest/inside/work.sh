# Work whose time is measured, for the benchmark. Sourced by init.sh.

# The file to be sorted lies in memory, and sort sorts in memory: both go to swap and come back.
prepare_work() {
  [ "$WORK" = sort ] || return
  mkdir /run/input
  mount -t tmpfs -o size="$((WORK_BYTES + 1048576))" tmpfs /run/input || fail "no tmpfs for the file to be sorted"
  perl "$here/work.pl" lines --bytes "$WORK_BYTES" --seed "$SEED" >/run/input/lines || fail "writing the lines"
}

run_work() {
  local status
  step "preparing the work"
  prepare_work
  step "work"
  case "$WORK" in
  sweep) perl "$here/work.pl" sweep --bytes "$WORK_BYTES" --sweeps "$WORK_SWEEPS" --seed "$SEED" ;;
  random) perl "$here/work.pl" random --bytes "$WORK_BYTES" --accesses "$WORK_ACCESSES" --seed "$SEED" ;;
  sort) measured sort_lines ;;
  *) fail "unknown work $WORK" ;;
  esac >/run/work.log 2>&1
  status=$?
  check_load work "$status" /run/work.log
  result "$(sed -n 's/^measured ms=\([0-9]*\) out=\([0-9]*\) in=\([0-9]*\)/workMs=\1 workPagesOut=\2 workPagesIn=\3/p' \
    /run/work.log)"
  result workSum="$(sed -n 's/^\([0-9a-f]\{32\}\) .*/\1/p' /run/work.log)"
  [ "$WORK" != sort ] || umount /run/input || fail "umount /run/input"
}

sort_lines() {
  sort --parallel=1 -S "$((WORK_BYTES * 3))b" /run/input/lines | md5sum
  [ "${PIPESTATUS[0]}" = 0 ]
}

# measured COMMAND: says how long it took and how many pages went out and in, as work.pl does.
measured() {
  local start out in status
  out=$(vmstat pswpout) in=$(vmstat pswpin) start=$(now_ms)
  "$@"
  status=$?
  echo "measured ms=$(($(now_ms) - start)) out=$(($(vmstat pswpout) - out)) in=$(($(vmstat pswpin) - in))"
  return $status
}
