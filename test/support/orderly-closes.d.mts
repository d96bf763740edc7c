import type { ChildProcess } from 'node:child_process'
import type { Snapshot } from '../../src/http/index.js'
import type { WatchStats } from '../../src/index.js'

/** Where the servers of test/loopback/fixtures/tls-server.mjs listen, and their process. */
export interface Servers {
  readonly host: string
  readonly ports: Readonly<Record<string, number>>
  readonly server: ChildProcess
  readonly rejectUnauthorized: false
}

export interface Played {
  readonly played: number
  readonly answered: number
  readonly errors: number
  readonly deaths: readonly string[]
  readonly stats?: WatchStats
  readonly total?: Snapshot['total']
}

export interface ServerCounts {
  readonly connections: number
  readonly clientErrors: number
  readonly sessionErrors: number
  readonly socketErrors: number
  readonly warnings: readonly string[]
  readonly watcher: WatchStats
}

export const names: readonly string[]
export function play(
  way: string,
  at: Servers,
  options: { watched: boolean; count: number; atOnce: number },
): Promise<Played>
export function messageFrom(server: ChildProcess): Promise<unknown>
export function countOf(at: Servers): Promise<ServerCounts>
