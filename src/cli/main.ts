#!/usr/bin/env node
import { complainOfOutput } from './lib/terminal.js'
import { USAGE_ERROR } from './lib/usage.js'
import { program } from './program.js'

// A reader that closed the pipe (`| head`) is not an error. Commands that keep running handle it themselves.
let isBroken = false
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' || isBroken) return
  isBroken = true
  complainOfOutput(error)
  // The output is lost, so the command has failed. It still restores options that it changed.
  process.once('exit', () => {
    process.exitCode = USAGE_ERROR
  })
})
// If stderr cannot be written either, the error cannot be reported.
process.stderr.on('error', () => {})

if (process.argv.length <= 2) program.help()
void program.parseAsync()
