#!/usr/bin/env node
import { program } from './program.js'
import { complainOfOutput } from './terminal.js'
import { USAGE_ERROR } from './usage.js'

// A reader that is gone (`| head`) is no error. What runs for long hears of it by itself.
let isBroken = false
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' || isBroken) return
  isBroken = true
  complainOfOutput(error)
  // Whatever the command found, nobody could read it. Options that a command has changed are still put back.
  process.once('exit', () => {
    process.exitCode = USAGE_ERROR
  })
})
// Where complaints cannot be written either, there is nowhere to say so.
process.stderr.on('error', () => {})

if (process.argv.length <= 2) program.help()
await program.parseAsync()
