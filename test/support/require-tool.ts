import { describe, test } from "vitest";
import { missingTools, type ToolName } from "./tools.ts";

/**
 * A `describe` that needs outside programs. Where one is missing its tests are skipped under a name that
 * says what is missing; with CI=true they fail instead, since a suite that nobody runs proves nothing.
 */
export function describeWithTools(names: readonly ToolName[], title: string, body: () => void): void {
  const missing = missingTools(names);
  if (missing.length === 0) {
    describe(title, body);
    return;
  }
  const reason = missing.join("; ");
  if (process.env["CI"] === "true") {
    test(`${title}: required tool`, () => {
      throw new Error(`${reason}; with CI=true that is a failure, not a skip`);
    });
    return;
  }
  describe.skip(`${title} [skipped: ${reason}]`, body);
}
