#!/usr/bin/env node
import "nswap/server";
