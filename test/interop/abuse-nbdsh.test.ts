import { test } from "vitest";
import { describeWithTools } from "../support/require-tool.ts";
import { unixOf, withAbusedTarget } from "./abuse-support.ts";
import { nbdsh } from "./with-target.ts";

describeWithTools(["nbdsh"], "nbdsh with its strictness off", () => {
  const context = withAbusedTarget();
  /** Connects without libnbd's own checks; `refused(errno, f, …)` expects an error and a living connection. */
  const preamble = () => `
import os
h.set_strict_mode(0)
h.connect_uri("${context.target.uri}")
size = h.get_size()
def refused(errnums, f, *args):
    try:
        f(*args)
    except nbd.Error as e:
        assert e.errnum in errnums, (f, args, e.errnum, e)
    else:
        assert False, ("was not refused", f, args)
    h.pread(512, 0)
`;

  test("out of range, with the right error for each command", async () => {
    await nbdsh(`${preamble()}
for offset in (size, size - 1, 1 << 62):
    refused([22], h.pread, 4096, offset)
    refused([28], h.pwrite, bytearray(4096), offset)
    refused([28], h.zero, 4096, offset)
    refused([22], h.trim, 4096, offset)
    refused([22], h.cache, 4096, offset)
h.shutdown()
`);
  });

  test("a long write out of range is refused after its payload, not amid it", async () => {
    await nbdsh(`${preamble()}
refused([28], lambda: h.pwrite(bytearray(2 * 1024 * 1024), size))
refused([22], lambda: h.pwrite(bytearray(2 * 1024 * 1024), 0, 1 << 13))
h.shutdown()
`);
  });

  test("flags that are not of the command, and flags that do not exist", async () => {
    await nbdsh(`${preamble()}
refused([22], h.pread, 4096, 0, 1 << 13)
refused([22], h.pwrite, b"x" * 4096, 0, 1 << 13)
refused([22], h.zero, 4096, 0, 1 << 13)
refused([22], h.trim, 4096, 0, 1 << 13)
refused([22], h.cache, 4096, 0, 1 << 13)
refused([22], h.flush, 1 << 13)
h.shutdown()
`);
  });

  test("structured errors for structured reads, and the connection lives", async () => {
    await nbdsh(`${preamble()}
assert h.get_structured_replies_negotiated()
refused([22], lambda: h.pread_structured(4096, size, lambda *a: 0))
if h.get_block_size(nbd.SIZE_MAXIMUM) == 32 * 1024 * 1024:
    refused([22, 75, 12], lambda: h.pread(33 * 1024 * 1024, 0))
h.shutdown()
`);
  });

  test("requests of no length", async () => {
    await nbdsh(`${preamble()}
def tolerated(f, *args):
    try:
        f(*args)
    except nbd.Error as e:
        assert e.errnum in (22, 28), e
    h.pread(512, 0)
tolerated(h.trim, 0, 0)
tolerated(h.zero, 0, 0)
tolerated(h.cache, 0, 0)
tolerated(h.pwrite, b"", 0)
h.shutdown()
`);
  });

  test("hundreds of requests at once, never collected, then gone", async ({ skip }) => {
    skip(context.target.kind === "nbdkit", "nbdkit 1.32 ends by an assertion when a client vanishes");
    await nbdsh(`${preamble()}
buffers = [nbd.Buffer(65536) for _ in range(500)]
for b in buffers:
    h.aio_pread(b, 0)
`);
  });

  test("options out of order", async ({ skip }) => {
    skip(context.target.kind === "nbdkit", "nbdkit answers few LISTs in one negotiation");
    await nbdsh(`
h.set_strict_mode(0)
h.set_opt_mode(True)
h.connect_uri("${context.target.uri}")
h.opt_info()
for _ in range(20):
    h.opt_list(lambda *a: 0)
h.add_meta_context("x" * 4000)
h.add_meta_context("base:allocation")
try:
    h.opt_list_meta_context(lambda *a: 0)
except nbd.Error:
    pass
h.clear_meta_contexts()
h.opt_go()
h.pread(512, 0)
h.shutdown()
`);
  });

  test("the socket of the target is the one the verifying client uses", async () => {
    const address = unixOf(context.target) as { path: string };
    await nbdsh(
      `h.connect_unix("${address.path}"); assert h.get_size() == ${context.target.sizeBytes}; h.shutdown()`,
    );
  });
});
