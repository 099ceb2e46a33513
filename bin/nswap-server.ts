#!/usr/bin/env node
import { runProcess } from "../src/cli/process-host.ts";

await runProcess(["server", ...process.argv.slice(2)]);
