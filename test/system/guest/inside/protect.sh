# Recipe R: what keeps a machine alive that swaps over a program of its own. Sourced by init.sh.

# The free reserve, for every way of swapping over a network. The watermark boost would lift it fourfold.
raise_reserve() {
  echo 0 >/proc/sys/vm/watermark_boost_factor
  echo "$MIN_FREE_KIB" >/proc/sys/vm/min_free_kbytes
}

# Two groups: one for the daemon, which never swaps and keeps its file pages, one for all the rest.
make_groups() {
  echo +memory >/sys/fs/cgroup/cgroup.subtree_control || fail "no memory controller in this kernel"
  mkdir /sys/fs/cgroup/daemon /sys/fs/cgroup/load
  echo 0 >/sys/fs/cgroup/daemon/memory.swap.max
  echo "$DAEMON_MIN_BYTES" >/sys/fs/cgroup/daemon/memory.min
}

enter_load_group() { echo $$ >/sys/fs/cgroup/load/cgroup.procs; }

# Unix sockets that are made from now on hold more than one or two answers of 128 KiB.
widen_sockets() { echo 524288 >/proc/sys/net/core/wmem_default; }

# Starts "${DAEMON[@]}" with the protection; it must create the socket $SOCKET.
# PR_SET_IO_FLUSHER (57) is inherited over exec and covers all threads of Node only when set before it starts.
start_daemon() {
  (
    echo "$BASHPID" >/sys/fs/cgroup/daemon/cgroup.procs
    echo -1000 >/proc/self/oom_score_adj
    export MALLOC_ARENA_MAX=1 MALLOC_TOP_PAD_=16777216 MALLOC_TRIM_THRESHOLD_=1073741824
    exec chrt --rr 1 perl -e 'syscall(157, 57, 1, 0, 0, 0) == 0 or die "PR_SET_IO_FLUSHER: $!\n"; exec @ARGV' \
      "${DAEMON[@]}"
  ) >/run/daemon.log 2>&1 &
  daemon=$!
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    daemon_ready && break
    kill -0 "$daemon" 2>/dev/null || fail "the client in the guest ended before it was ready"
    sleep 0.1
  done
  daemon_ready || fail "the client in the guest was not ready after 60 s"
  check_protection
}

daemon_ready() { [ -S "$SOCKET" ] && { [ -z "$READY" ] || grep -q "$READY" /run/daemon.log; }; }

# PR_GET_IO_FLUSHER answers only for its caller; the flag PF_MEMALLOC_NOIO (0x80000) that it sets shows in field 9
# of every thread's stat.
check_protection() {
  local task total=0 flushers=0 line
  for task in /proc/"$daemon"/task/*; do
    read -r line <"$task/stat" || continue
    set -- ${line##*) }
    total=$((total + 1))
    (($7 & 0x80000)) && flushers=$((flushers + 1))
  done
  result daemonThreads=$total daemonFlushers=$flushers daemonRssKiB="$(daemon_rss_kib)"
  [ "$flushers" = "$total" ] || fail "only $flushers of $total threads of the client are marked as I/O flushers"
}

daemon_rss_kib() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$daemon/status"; }

# The bounded way: everything but the daemon may use what is left after the daemon and a reserve.
bound_load() {
  local limit=$(($(mem_kib MemTotal) - $(daemon_rss_kib) - RESERVE_KIB))
  echo $((limit * 1024)) >/sys/fs/cgroup/load/memory.max
  result loadLimitKiB=$limit
}

check_daemon() {
  [ "$MODE" = local ] || return
  kill -0 "$daemon" 2>/dev/null || fail "the client in the guest is dead"
  result daemonRssEndKiB="$(daemon_rss_kib)" \
    daemonMajorFaults="$(sed 's/.*) //' "/proc/$daemon/stat" | cut -d' ' -f10)" \
    daemonCpuTicks="$(sed 's/.*) //' "/proc/$daemon/stat" | cut -d' ' -f12,13 | tr ' ' +)"
  kill -TERM "$daemon"
}
