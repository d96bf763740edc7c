import { closeSync, openSync, readSync, writeSync } from 'node:fs'

// The other end of shim.c's control: four numbers and a name.
const BYTES = 64
const file = openSync(process.env.DEADPEER_FAULTS, 'r+')
process.on('exit', () => closeSync(file))

/** From now on the addon's `call`th system call fails with `errno`, once. */
export function arm(call, errno) {
  write([call, errno, 0, 0])
}

/** Lets all calls through, and says how many there were, and which has failed. */
export function disarm() {
  const bytes = Buffer.alloc(BYTES)
  readSync(file, bytes, 0, BYTES, 0)
  write([0, 0, 0, 0])
  const [calls, fired] = [bytes.readInt32LE(8), bytes.readInt32LE(12)]
  const end = bytes.indexOf(0, 16)
  return { calls, failed: fired > 0 ? bytes.toString('latin1', 16, end) : undefined }
}

function write(numbers) {
  const bytes = Buffer.alloc(16)
  for (const [i, number] of numbers.entries()) bytes.writeInt32LE(number, i * 4)
  writeSync(file, bytes, 0, bytes.length, 0)
}
