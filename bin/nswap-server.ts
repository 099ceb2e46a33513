#!/usr/bin/env node
import { runProcess } from "../src/cli/run-process.ts";

await runProcess(["server", ...process.argv.slice(2)]);
