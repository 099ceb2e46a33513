import { NbdErrno } from "nbd-server-protocol";
import { describe, expect, it } from "vitest";
import { clientLimits } from "../../../src/client/client-limits.ts";
import type { NbdConnection } from "../../../src/client/nbd-connection.ts";
import { NbdFront } from "../../../src/client/nbd-front.ts";
import { Command, encodeNegotiation, encodeRequest } from "../../../src/sim/nbd-wire.ts";
import { ClientRig } from "./rig.ts";

const PAGE = 4096;

/** A front that zeroes one page a turn, and what bytes are given to its connections with. */
function slowFront() {
  const rig = new ClientRig();
  const front = new NbdFront({
    arena: rig.arena,
    core: rig.core,
    exportName: "",
    sizeBytes: 64 * PAGE,
    answerBytesMax: 16 * 1024 * 1024,
    limits: { ...clientLimits, zeroSlotsPerTurn: 1, zeroSlotsAtATime: 1, zeroSlotsMin: 1 },
    wake: () => {},
    notice: () => {},
  });
  const port = { resume: () => {}, finish: () => {}, destroy: () => {} };
  const connect = (): NbdConnection => front.connect(rig.newQueue(), port, 0);
  const feed = (connection: NbdConnection, ...parts: Uint8Array[]): void => {
    const bytes = Buffer.concat(parts);
    rig.arena.bytes.set(bytes, rig.region);
    connection.receive(rig.arena.bytes, rig.region, rig.region + bytes.length);
  };
  return { rig, front, connect, feed };
}

describe("an NBD client that hangs up", () => {
  it("does not have the rest of its TRIM done after what others write then", () => {
    const { rig, front, connect, feed } = slowFront();
    const first = connect();
    feed(first, encodeNegotiation(false, false), encodeRequest(Command.TRIM, 0, 1, 0, 8 * PAGE));
    first.disconnected();
    const second = connect();
    const page = new Uint8Array(PAGE).fill(9);
    feed(second, encodeNegotiation(false, false), encodeRequest(Command.WRITE, 0, 2, 5 * PAGE, PAGE), page);
    for (let turn = 0; turn < 10; turn += 1) front.flush();
    expect(rig.read(5).value).toBe(9);
    expect(front.requestsInFlight).toBe(0);
  });

  it.each([
    ["TRIM", Command.TRIM, 0],
    ["WRITE_ZEROES", Command.WRITE_ZEROES, NbdErrno.ESHUTDOWN],
  ])(
    "after DISC, but while its %s goes on: the rest is not done after what others write then",
    (_, command, error) => {
      const { rig, front, connect, feed } = slowFront();
      const first = connect();
      const disc = encodeRequest(Command.DISC, 0, 0, 0, 0);
      feed(first, encodeNegotiation(false, false), encodeRequest(command, 0, 1, 0, 8 * PAGE), disc);
      expect(first.inputEnded()).toBe(true);
      const second = connect();
      const page = new Uint8Array(PAGE).fill(9);
      feed(second, encodeNegotiation(false, false), encodeRequest(Command.WRITE, 0, 2, 5 * PAGE, PAGE), page);
      for (let turn = 0; turn < 10; turn += 1) front.flush();
      expect(rig.read(5).value).toBe(9);
      expect(front.requestsInFlight).toBe(0);
      expect(first.session.state).toBe("closed");
      const answers = first.out.piece(first.out.pieces - 1);
      expect(Buffer.from(answers).readUInt32BE(answers.length - 12)).toBe(error);
    },
  );
});
