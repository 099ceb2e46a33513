import { test } from "vitest";
import { describeWithTools } from "../support/require-tool.ts";
import { nbdsh, withTarget } from "./with-target.ts";

describeWithTools(["nbdsh"], "nbdsh", () => {
  const context = withTarget();
  const connect = () => `h.connect_uri("${context.target.uri}")\n`;

  test("every command, with and without its flags", async () => {
    await nbdsh(`${connect()}
import os
a = os.urandom(65536)
h.pwrite(a, 0)
assert h.pread(65536, 0) == a
h.pwrite(a, 65536, nbd.CMD_FLAG_FUA)
assert h.pread(65536, 65536) == a
h.flush()
h.cache(65536, 0)
h.zero(4096, 0)
assert h.pread(4096, 0) == bytearray(4096)
assert h.pread(4096, 4096) == a[4096:8192]
h.zero(4096, 8192, nbd.CMD_FLAG_NO_HOLE)
assert h.pread(4096, 8192) == bytearray(4096)
h.zero(4096, 12288, nbd.CMD_FLAG_FUA)
try:
    h.zero(4096, 16384, nbd.CMD_FLAG_FAST_ZERO)
    assert h.pread(4096, 16384) == bytearray(4096)
except nbd.Error as e:
    assert e.errnum == 95, e
h.trim(4096, 20480, nbd.CMD_FLAG_FUA)
assert h.pread(4096, 24576) == a[24576:28672]
h.shutdown()
`);
  });

  test("structured reads: chunks cover the request, and DF gives one chunk", async () => {
    await nbdsh(`${connect()}
import os
assert h.get_structured_replies_negotiated()
a = os.urandom(32768) + bytearray(32768) + os.urandom(65536)
h.pwrite(a, 0)
def read(count, flags):
    chunks = []
    got = h.pread_structured(count, 0, lambda buf, off, status, err: chunks.append((off, len(buf), status)), flags)
    assert got == a[:count], "wrong bytes"
    assert sum(c[1] for c in chunks) == count or any(c[2] == nbd.READ_HOLE for c in chunks), chunks
    return chunks
read(131072, 0)
assert len(read(65536, nbd.CMD_FLAG_DF)) == 1
h.shutdown()
`);
  });

  test("block status: whole, and one extent alone with REQ_ONE", async ({ skip }) => {
    skip(context.target.kind === "front", "the front alone keeps no map");
    await nbdsh(`
h.add_meta_context("base:allocation")
${connect()}
import os
assert h.can_meta_context("base:allocation")
h.zero(1048576, 0)
h.pwrite(os.urandom(65536), 131072)
def status(count, offset, flags):
    out = []
    h.block_status(count, offset, lambda context, off, entries, err: out.extend(entries), flags)
    return list(zip(out[0::2], out[1::2]))
extents = status(1048576, 0, 0)
assert extents[0][0] <= 131072 and extents[0][1] & 2, extents
one = status(262144, 131072, nbd.CMD_FLAG_REQ_ONE)
assert len(one) == 1 and one[0][0] <= 262144 and one[0][1] == 0, one
h.shutdown()
`);
  });

  test("block status without a negotiated context is refused, the connection lives", async () => {
    await nbdsh(`
h.set_strict_mode(0)
${connect()}
try:
    h.block_status(4096, 0, lambda *args: 0)
    assert False, "block status without context was answered"
except nbd.Error as e:
    assert e.errnum == 22, e
h.pread(512, 0)
h.shutdown()
`);
  });

  test("without structured replies the server falls back to simple ones", async () => {
    await nbdsh(`
h.set_request_structured_replies(False)
${connect()}
assert not h.get_structured_replies_negotiated()
h.pwrite(b"simple" * 1000, 777)
assert h.pread(6000, 777) == b"simple" * 1000
h.shutdown()
`);
  });

  test("an old-style handshake with EXPORT_NAME works", async () => {
    await nbdsh(`
h.set_handshake_flags(nbd.HANDSHAKE_FLAG_NO_ZEROES)
${connect()}
assert h.get_protocol() == "newstyle", h.get_protocol()
assert h.get_size() == ${context.target.sizeBytes}
h.pread(512, 0)
h.shutdown()
`);
    await nbdsh(`
h.set_handshake_flags(0)
${connect()}
assert h.get_size() == ${context.target.sizeBytes}
h.pread(512, 0)
h.shutdown()
`);
  });

  test("option mode: info, list, contexts, a change of mind, then go", async () => {
    await nbdsh(`
h.set_opt_mode(True)
${connect()}
names = []
h.opt_list(lambda name, description: names.append(name))
assert "" in names, names
h.opt_info()
assert h.get_size() == ${context.target.sizeBytes}
contexts = []
h.add_meta_context("base:")
h.opt_list_meta_context(lambda name: contexts.append(name))
assert contexts == ["base:allocation"], contexts
h.clear_meta_contexts()
h.add_meta_context("no-such:context")
assert h.opt_list_meta_context(lambda name: 0) == 0
h.clear_meta_contexts()
h.add_meta_context("base:allocation")
h.opt_go()
assert h.can_meta_context("base:allocation")
h.pread(512, 0)
h.shutdown()
`);
    await nbdsh(`
h.set_opt_mode(True)
${connect()}
h.opt_abort()
assert h.aio_is_closed()
`);
  });

  test("several connections see one device: what one wrote and flushed the others read", async () => {
    await nbdsh(`
import os
handles = []
for i in range(8):
    c = nbd.NBD()
    c.connect_uri("${context.target.uri}" if i % 2 else "${context.target.tcpUri}")
    assert c.can_multi_conn()
    handles.append(c)
for turn in range(64):
    writer = handles[turn % 8]
    data = os.urandom(10000)
    writer.pwrite(data, 4096 * turn + 123)
    writer.flush()
    for reader in handles:
        assert reader.pread(10000, 4096 * turn + 123) == data
for c in handles:
    c.shutdown()
`);
  });

  test("64 requests in flight are each answered with their own bytes", async () => {
    await nbdsh(`${connect()}
import os
data = [os.urandom(4096) for _ in range(64)]
cookies = [h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(d)), 4096 * i) for i, d in enumerate(data)]
for c in cookies:
    while not h.aio_command_completed(c):
        h.poll(-1)
buffers = [nbd.Buffer(4096) for _ in range(64)]
cookies = [h.aio_pread(b, 4096 * i) for i, b in enumerate(buffers)]
for c in reversed(cookies):
    while not h.aio_command_completed(c):
        h.poll(-1)
for i, b in enumerate(buffers):
    assert b.to_bytearray() == data[i], i
h.shutdown()
`);
  });

  test("a client that leaves with requests in flight has them answered", async () => {
    await nbdsh(`${connect()}
import os
h.pwrite(os.urandom(8 << 20), 0)
outcomes = []
def note(error):
    outcomes.append(error.value)
    return 1
buffers = [nbd.Buffer(1 << 20) for _ in range(9)]
for i, b in enumerate(buffers[:8]):
    h.aio_pread(b, i << 20, completion=note)
h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(os.urandom(1 << 20))), 9 << 20, completion=note)
h.aio_disconnect()
while not h.aio_is_closed():
    h.poll(-1)
assert outcomes == [0] * 9, outcomes
`);
  });
});
