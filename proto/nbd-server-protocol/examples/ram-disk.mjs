// A RAM disk over NBD on a Unix socket: node examples/ram-disk.mjs SOCKET [MEBIBYTES]
import { createServer } from "node:net";
import {
  BlockOutput,
  NBD_BLOCK_SIZE,
  NbdCommand,
  NbdExportTable,
  NbdServerSession,
} from "nbd-server-protocol";

const [path = "/tmp/ram-disk.sock", mebibytes = "64"] = process.argv.slice(2);
const memory = new Uint8Array(Number(mebibytes) * 1024 * 1024);
const can = { canFlush: true, canFua: true, canTrim: true, canWriteZeroes: true, canFastZero: true };
const ram = { name: "ram", description: "a RAM disk", sizeBytes: memory.length, readOnly: false };
const exports = new NbdExportTable([
  { ...ram, ...can, canCache: true, canMultiConn: true, blockSize: NBD_BLOCK_SIZE },
]);

function answer(request) {
  const { session, command, offset, length } = request;
  if (command === NbdCommand.READ) session.replyRead(request, memory.subarray(offset, offset + length));
  else if (command === NbdCommand.BLOCK_STATUS) session.replyBlockStatus(request, [{ length, flags: 0 }]);
  else {
    if (command === NbdCommand.TRIM || command === NbdCommand.WRITE_ZEROES)
      memory.fill(0, offset, offset + length);
    session.replyOk(request);
  }
}

export const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  const output = new BlockOutput();
  const backlog = () => output.length + socket.writableLength; // answers that the client has not fetched
  const handler = {
    request(request) {
      if (backlog() > 4 * 1024 * 1024) return false; // not now: see turn()
      if (request.command !== NbdCommand.WRITE) answer(request);
      return true;
    },
    payload(request, bytes, start, end, position) {
      memory.set(bytes.subarray(start, end), request.offset + position);
      if (position + end - start === request.length) answer(request);
    },
    closed: (_session, reason) =>
      reason && console.error(`session ended: ${reason.message} (${reason.code})`),
  };
  const session = new NbdServerSession({ exports, handler, output });
  let unread = new Uint8Array(0);
  let ended = false; // the client sends no more, and may still wait for answers

  function turn() {
    do {
      session.resume();
      unread = unread.subarray(session.receive(unread, 0, unread.length));
      for (const block of output.take()) socket.write(block);
    } while (session.stalled && !socket.writableNeedDrain);
    if (ended && !session.stalled && session.state !== "disconnecting") session.disconnected();
    if (session.state === "closed") socket.destroySoon();
    else if (session.stalled || socket.writableNeedDrain) socket.pause();
    else socket.resume();
  }
  socket.on("data", (chunk) => {
    unread = chunk;
    turn();
  });
  socket.on("drain", turn);
  socket.on("end", () => {
    ended = true;
    turn();
  });
  socket.on("error", () => session.disconnected());
  socket.on("close", () => session.disconnected());
  session.start();
  turn();
});
server.listen(path, () => console.log(`nbd+unix:///ram?socket=${path}`));
