# The block device and the swap on it. Sourced by init.sh.

load_nbd() {
  insmod "/usr/lib/uml/modules/$(uname -r)/kernel/drivers/block/nbd.ko" nbds_max=1 || fail "cannot load nbd"
}

attach() {
  if [ "$MODE" = local ]; then
    nbd-client -unix "$SOCKET" /dev/nbd0 -b 4096 -N "$EXPORT" || fail "nbd-client could not attach $SOCKET"
  else
    nbd-client "$SERVER_HOST" "$SERVER_PORT" /dev/nbd0 -b 4096 -N "$EXPORT" ||
      fail "nbd-client could not attach $SERVER_HOST:$SERVER_PORT"
  fi
  result deviceBytes=$(($(cat /sys/block/nbd0/size) * 512))
}

# Real traffic before the swap is on, so that the daemon's code and buffers are all in memory.
warm_up() {
  local round
  for round in 1 2; do
    dd if=/dev/urandom of=/dev/nbd0 bs=128k count=256 oflag=direct status=none || fail "warm-up: writing"
    dd if=/dev/nbd0 of=/dev/null bs=128k count=256 iflag=direct status=none || fail "warm-up: reading"
    dd if=/dev/nbd0 of=/dev/null bs=4k count=512 iflag=direct status=none || fail "warm-up: reading pages"
  done
  blkdiscard /dev/nbd0 || fail "warm-up: discarding"
  result daemonRssWarmKiB="$(daemon_rss_kib)"
}

swap_on() {
  mkswap /dev/nbd0 >/dev/null || fail "mkswap"
  swapon ${DISCARD:+--discard=$DISCARD} /dev/nbd0 || fail "swapon"
  result swapTotalKiB="$(mem_kib SwapTotal)"
}

swap_off() {
  local used start
  used=$(($(mem_kib SwapTotal) - $(mem_kib SwapFree)))
  start=$(now_ms)
  swapoff /dev/nbd0 || fail "swapoff"
  result swapoffKiB=$used swapoffMs=$(($(now_ms) - start))
}

detach() { nbd-client -d /dev/nbd0 >/dev/null || fail "nbd-client -d"; }

# Fields of /sys/block/*/stat: 1 reads, 5 writes, 12 discards, 14 discarded sectors
figures() {
  local stat
  read -r -a stat </sys/block/nbd0/stat
  result pagesOut="$(vmstat pswpout)" pagesIn="$(vmstat pswpin)"
  result deviceReads="${stat[0]}" deviceWrites="${stat[4]}" discards="${stat[11]:-0}" discardedSectors="${stat[13]:-0}"
  result memTotalKiB="$(mem_kib MemTotal)" oomKills="$(vmstat oom_kill)"
}
