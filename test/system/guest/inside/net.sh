# The guest's end of the tap device. Sourced by init.sh.

bring_up_network() {
  ip link set lo up
  ip addr add "$ADDRESS" dev vec0 || fail "no network device vec0"
  ip link set vec0 up
}
