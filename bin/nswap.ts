#!/usr/bin/env node
import { main } from "../src/cli/main.ts";
import { processHost } from "../src/cli/process-host.ts";

const host = processHost();
await host.end(await main(process.argv.slice(2), host));
