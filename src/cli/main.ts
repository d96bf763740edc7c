#!/usr/bin/env node
import { program } from './program.js'

// A reader that is gone (`| head`) is no error. What runs for long hears of it by itself.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

if (process.argv.length <= 2) program.help()
await program.parseAsync()
