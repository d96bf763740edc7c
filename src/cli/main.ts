#!/usr/bin/env node
import { describeErrno } from '../errors.js'
import { program } from './program.js'
import { complain } from './terminal.js'
import { USAGE_ERROR } from './usage.js'

// A reader that is gone (`| head`) is no error. What runs for long hears of it by itself.
let isBroken = false
process.stdout.on('error', ({ code, errno }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE' || isBroken) return
  isBroken = true
  const words = errno === undefined ? '' : `: ${describeErrno(errno).words}`
  complain(`cannot write to standard output${words} (${code})`)
  // Whatever the command found, nobody could read it. Options that a command has changed are still put back.
  process.once('exit', () => {
    process.exitCode = USAGE_ERROR
  })
})
// Where complaints cannot be written either, there is nowhere to say so.
process.stderr.on('error', () => {})

if (process.argv.length <= 2) program.help()
await program.parseAsync()
