import { expect, it } from "vitest";
import { NswapError } from "../../../src/base/errors.ts";
import { memoryServer, TestClient } from "../../support/cores.ts";
import { NbdTester } from "../../support/nbd-tester.ts";
import { nbd } from "../../support/raw-nbd.ts";

const PAGE = 4096;

it("a request that was offered again when no block was left for its answer ended the whole client", () => {
  const slots = 65_536;
  const client = new TestClient({ slots });
  client.join(memoryServer("a"));
  const good = new NbdTester(client);
  const greedy = new NbdTester(client);
  // All that may be looked at in a turn, and more: the last one waits.
  const all = { command: nbd.command.blockStatus, length: slots * PAGE };
  for (let i = 0; i < 5; i += 1) greedy.ask(all);
  expect(greedy.connection.session.stalled).toBe(true);
  greedy.readAnswers();
  const blocks = Array.from({ length: client.nbdPool.left }, () => client.nbdPool.take());
  client.turn();
  expect(greedy.over).toBeInstanceOf(NswapError);
  for (const block of blocks) client.nbdPool.give(block);
  const read = good.ask({ command: nbd.command.read, length: PAGE });
  client.pump();
  good.exchange();
  expect(good.over).toBeUndefined();
  expect(good.answer(read)?.error).toBe(0);
});
