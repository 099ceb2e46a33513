import { expect, test } from "vitest";
import { type Incident, IncidentRun, type Stricken } from "../../system/guest/incidents.ts";
import type { ClusterStatus } from "../../system/guest/status.ts";

const SWAPPING = { memFreeKiB: 0, memAvailableKiB: 0, swapUsedKiB: 1, pagesIn: 10_000, pagesOut: 10_000 };
const KILL: Incident = { what: "kill", node: "server-1", until: "protected" };

function status(state: string, unprotected: number, used = 7): ClusterStatus {
  const traffic = { pagesOut: 0, pagesIn: 0, messagesSent: 0, messagesAsking: 0, bytesSent: 0 };
  const recovery = { state: "idle", done: 0, total: 0 };
  return {
    nodes: [{ name: "server-1", role: "server", state, pid: 5, frames: { used, free: 0, limit: 0 } }],
    clients: [
      { name: "c", pages: { live: 9, unprotected, lost: 0 }, requests: { errors: 0 }, recovery, traffic },
    ],
  };
}

/** A cluster that says of what is done to it; `then` is what the status says afterwards, one after the other. */
function run(incidents: readonly Incident[], first: ClusterStatus, then: readonly ClusterStatus[]) {
  const done: string[] = [];
  const cluster: Stricken = {
    kill: async (name) => act(`kill ${name}`),
    startAgain: async (name) => act(`start ${name}`),
  };
  const act = (what: string) => {
    done.push(what);
    setTimeout(() => {
      for (const one of then) incidentRun.seeStatus(one);
    });
    return { child: { pid: 5 } } as Awaited<ReturnType<Stricken["kill"]>>;
  };
  const incidentRun = new IncidentRun(cluster, incidents, 0, {});
  incidentRun.seeStatus(first);
  return { incidentRun, done };
}

test("nothing happens before the guest swaps", async () => {
  const { incidentRun, done } = run([KILL], status("up", 0), []);
  const over = incidentRun.run();
  incidentRun.end();
  expect((await over).join()).toMatch(/the guest ended while waiting for the guest to swap/);
  expect(done).toEqual([]);
});

test("a kill is over when the node is seen down and no page is unprotected", async () => {
  const { incidentRun, done } = run([KILL], status("up", 0), [status("down", 0)]);
  incidentRun.seeProgress(SWAPPING);
  expect(await incidentRun.run()).toEqual([]);
  expect(done).toEqual(["kill server-1"]);
  expect(incidentRun.reports).toMatchObject([{ pagesHeld: 7, unprotectedMost: 0 }]);
});

test.each([
  ["still seen up", [status("up", 0)]],
  ["still unprotected", [status("down", 5)]],
  ["no reading since", []],
])("a kill is not over: %s", async (_, then) => {
  const { incidentRun } = run([KILL], status("up", 0), then);
  incidentRun.seeProgress(SWAPPING);
  const over = incidentRun.run();
  setTimeout(() => incidentRun.end(), 200);
  expect((await over).join()).toMatch(/the guest ended while waiting for kill server-1/);
});

test("a node that holds nothing is not worth killing", async () => {
  const { incidentRun, done } = run([KILL], status("up", 0, 0), []);
  incidentRun.seeProgress(SWAPPING);
  expect((await incidentRun.run()).join()).toMatch(/held no page/);
  expect(done).toEqual([]);
});

test("a start is over when the new process is up", async () => {
  const start: Incident = { what: "start", node: "server-1", until: "seen" };
  const { incidentRun, done } = run([start], status("down", 3), [status("up", 3)]);
  incidentRun.seeProgress(SWAPPING);
  expect(await incidentRun.run()).toEqual([]);
  expect(done).toEqual(["start server-1"]);
});
