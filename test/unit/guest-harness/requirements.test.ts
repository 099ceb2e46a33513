import { expect, test } from "vitest";
import { missingRequirements, skipReason } from "../../system/guest/requirements.ts";

test("a program that is not there is named with its Debian package", () => {
  const missing = missingRequirements([["no-such-program", "its-package"]]);
  expect(missing).toContain("no-such-program (Debian package its-package)");
});

test("a test whose requirement is missing is skipped with the reason", () => {
  expect(skipReason(["root", "linux.uml"], false)).toBe("needs root, linux.uml");
});

test("where everything must run, a missing requirement is a failure", () => {
  expect(() => skipReason(["root"], true)).toThrow(/needs root/);
});

test("nothing missing, nothing skipped", () => {
  expect(skipReason([], true)).toBeUndefined();
});
