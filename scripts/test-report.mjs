// Reporter for vitest: writes what run-tests.mjs counts, and why each failure was one, to the file TEST_REPORT_FILE.
// The JSON of vitest's own reporter leaves out what befell the hooks of a `describe`.
import { writeFileSync } from "node:fs";
import path from "node:path";

/** Lines kept of a reason. */
const LINES = 12;

function failureOf(where, errors) {
  const why = errors.flatMap((error) =>
    (error.stack ?? error.message ?? String(error)).split("\n").slice(0, LINES),
  );
  return [where, ...why].join("\n    ");
}

/** Failures of hooks, and of the loading of a file. */
function suiteFailures(module) {
  const where = path.relative(process.cwd(), module.moduleId);
  const suites = [...module.children.allSuites()].map((suite) => [
    `${where} > ${suite.fullName}`,
    suite.errors(),
  ]);
  return [[where, module.errors()], ...suites].filter(([, errors]) => errors.length > 0);
}

export default class TestReport {
  onTestRunEnd(modules, unhandled) {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const named = (state) => tests.filter((test) => test.result().state === state);
    const nameOf = (test) => `${path.relative(process.cwd(), test.module.moduleId)} > ${test.fullName}`;
    const failures = [
      ...modules.flatMap(suiteFailures),
      ...named("failed").map((test) => [nameOf(test), test.result().errors]),
      ...(unhandled.length > 0 ? [["errors that no test caught", unhandled]] : []),
    ];
    const report = {
      passed: named("passed").length,
      failures: failures.map(([where, errors]) => failureOf(where, errors)),
      notRun: [...named("skipped"), ...named("pending")].map(nameOf),
    };
    writeFileSync(process.env.TEST_REPORT_FILE, JSON.stringify(report));
  }
}
