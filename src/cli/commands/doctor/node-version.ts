import { closeSync, openSync, readlinkSync, readSync, statSync } from 'node:fs'
import { basename } from 'node:path'

/** A version such as 22.23.3; `unknown` for a Node whose binary does not contain its version. */
export type NodeVersion = string

/** By device, inode and time of change: many processes run the same file, and a new file may get the inode of a deleted one. */
const known = new Map<string, NodeVersion>()

/**
 * The version of Node that a process runs; `undefined` if its binary does not have a name of Node. Reads the version from the binary and does not
 * execute it: this process may be root, and the binary may belong to another user.
 */
export function readNodeVersion(pid: number, command: string): NodeVersion | undefined {
  const file = `/proc/${pid}/exe`
  try {
    const link = readlinkSync(file)
    if (!isNode(basename(link.replace(/ \(deleted\)$/, '')))) return undefined
    const { dev, ino, ctimeNs } = statSync(file, { bigint: true })
    const key = `${dev}:${ino}:${ctimeNs}`
    const version = known.get(key) ?? versionIn(file) ?? versionOf(link) ?? 'unknown'
    known.set(key, version)
    return version
  } catch {
    // The process has ended, or this user may not read it. Newer versions of Node name their main thread.
    return isNode(command) || /^(node-)?MainThread$/.test(command) ? 'unknown' : undefined
  }
}

/** Names of the binary: node, nodejs, node-22. */
function isNode(name: string): boolean {
  return /^node(js)?(-?\d+(\.\d+)*)?$/.test(name)
}

const CHUNK = 2 ** 20
/** Part of process.release.headersUrl in official builds and most others. */
const RELEASE = Buffer.from('/download/release/v')
const LONGEST = 64

function versionIn(file: string): NodeVersion | undefined {
  const fd = openSync(file, 'r')
  try {
    // A match at the end of a chunk may continue in the next one.
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

/** Version managers have a folder for each version: …/v22.23.3/bin/node. */
function versionOf(path: string): NodeVersion | undefined {
  return /\/v?(\d+\.\d+\.\d+)\/bin\/[^/]+$/.exec(path)?.[1]
}
