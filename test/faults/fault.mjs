import { closeSync, openSync, readSync, writeSync } from 'node:fs'

// The same layout as in shim.c: five numbers and a name.
const BYTES = 68
const NAME = 20
const file = openSync(process.env.DEADPEER_FAULTS, 'r+')
process.on('exit', () => closeSync(file))

/** From now on the addon's `call`th system call fails with `errno`, once. */
export function failCall(call, errno) {
  write([0, call, errno])
}

/** From now on the addon's `call`th system call waits until {@link disarm}. */
export function holdCall(call) {
  write([1, call, 0])
}

/** From now on the addon's `time`th allocation fails. */
export function failMemory(time) {
  write([2, time, 0])
}

/** Lets all calls pass, and returns how many there were and which of them failed or waited. */
export function disarm() {
  const found = report()
  write([0, 0, 0])
  return found
}

/** Returns the same as {@link disarm}, without disarming. */
export function report() {
  const bytes = Buffer.alloc(BYTES)
  readSync(file, bytes, 0, BYTES, 0)
  const [calls, fired] = [bytes.readInt32LE(12), bytes.readInt32LE(16)]
  return { calls, failed: fired > 0 ? bytes.toString('latin1', NAME, bytes.indexOf(0, NAME)) : undefined }
}

function write(numbers) {
  const bytes = Buffer.alloc(NAME)
  for (const [i, number] of numbers.entries()) bytes.writeInt32LE(number, i * 4)
  // The call's number comes last, because it arms the shim.
  const wanted = bytes.subarray(4, 8)
  const number = wanted.readInt32LE()
  wanted.writeInt32LE(0)
  writeSync(file, bytes, 0, NAME, 0)
  wanted.writeInt32LE(number)
  writeSync(file, wanted, 0, 4, 4)
}
