#!/usr/bin/env node
import { runProcess } from "../src/cli/process-host.ts";

await runProcess(process.argv.slice(2));
