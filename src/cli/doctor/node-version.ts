import { closeSync, openSync, readlinkSync, readSync, statSync } from 'node:fs'
import { basename } from 'node:path'

/** Which Node a process runs: 22.23.3; `unknown` where it is one, and the binary does not say which. */
export type NodeVersion = string

/** By the file itself: many processes run the same. */
const known = new Map<string, NodeVersion>()

/**
 * Which Node a process runs; `undefined` for none, as far as the name of its binary tells. Reads what is built into the binary, and runs
 * nothing: who looks may be root, and the binary anybody's.
 */
export function readNodeVersion(pid: number, command: string): NodeVersion | undefined {
  const file = `/proc/${pid}/exe`
  try {
    const link = readlinkSync(file)
    if (!isNode(basename(link.replace(/ \(deleted\)$/, '')))) return undefined
    const { dev, ino } = statSync(file, { bigint: true })
    const key = `${dev}:${ino}`
    const version = known.get(key) ?? versionIn(file) ?? versionOf(link) ?? 'unknown'
    known.set(key, version)
    return version
  } catch {
    // By its name then, which a newer one gives to its thread. It has ended, or is not ours to see.
    return isNode(command) || /^(node-)?MainThread$/.test(command) ? 'unknown' : undefined
  }
}

/** node, nodejs, node-22: as the project, Debian and others call it. */
function isNode(name: string): boolean {
  return /^node(js)?(-?\d+(\.\d+)*)?$/.test(name)
}

const CHUNK = 2 ** 20
/** Where its headers are: process.release.headersUrl of an official build, and of most others. */
const RELEASE = Buffer.from('/download/release/v')
const LONGEST = 64

function versionIn(file: string): NodeVersion | undefined {
  const fd = openSync(file, 'r')
  try {
    // What is found at the end of a chunk goes on in the next.
    const bytes = Buffer.alloc(CHUNK + LONGEST)
    let kept = 0
    for (;;) {
      const read = readSync(fd, bytes, kept, CHUNK, null)
      const end = kept + read
      const at = bytes.subarray(0, end).indexOf(RELEASE)
      const [, version] =
        /^\/download\/release\/v(\d+\.\d+\.\d+)\//.exec(
          at < 0 ? '' : bytes.toString('latin1', at, at + LONGEST),
        ) ?? []
      if (version !== undefined) return version
      if (read === 0) return undefined
      kept = Math.min(LONGEST, end)
      bytes.copyWithin(0, end - kept, end)
    }
  } finally {
    closeSync(fd)
  }
}

/** Version managers have a folder for each: …/v22.23.3/bin/node. */
function versionOf(path: string): NodeVersion | undefined {
  return /\/v?(\d+\.\d+\.\d+)\/bin\/[^/]+$/.exec(path)?.[1]
}
