import { expect, test } from "vitest";
import { guestProcessor } from "../../system/guest/processor.ts";

test("a guest is kept on the last processor that we may use", () => {
  const list = (allowed: string) => `Cpus_allowed:\tff\nCpus_allowed_list:\t${allowed}\nMems_allowed:\t1\n`;
  expect(guestProcessor(list("0"))).toBe("0");
  expect(guestProcessor(list("0-1"))).toBe("1");
  expect(guestProcessor(list("0,2-5,8"))).toBe("8");
  expect(() => guestProcessor("Name:\tnode\n")).toThrow("names no processor");
  expect(guestProcessor()).toMatch(/^\d+$/);
});
