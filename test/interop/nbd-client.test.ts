import { expect, test } from "vitest";
import { describeWithTools } from "../support/require-tool.ts";
import { succeed, withTarget } from "./with-target.ts";

describeWithTools(["nbd-client"], "nbd-client", () => {
  const context = withTarget();

  test("-l lists the exports and hangs up cleanly", async () => {
    const { host, port } = context.target;
    const { stdout } = await succeed("nbd-client", ["-l", host, String(port)], 20_000);
    // The only export has the empty name: one line with its description, if it has one.
    expect(stdout).toMatch(/^Negotiation: \.\.\n(: .*)?\n$/);
  });
});
