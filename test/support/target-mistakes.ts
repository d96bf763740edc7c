import dgram from 'node:dgram'
import http from 'node:http'
import net from 'node:net'
import * as undici from 'undici'
import { tune, tuneAll, watch } from '../../src/index.js'
import { connectPair } from './connections.js'
import { closedAfterwards, httpPort } from './target-setup.js'

/** A row of docs/targets.md: a value that is not a connection, and what the error says to do. */
export interface MistakeRow {
  readonly what: string
  /** In an array, because a promise would be awaited. */
  readonly make: () => Promise<readonly [unknown]>
  readonly message: RegExp
}

const origin = async () => `http://127.0.0.1:${await httpPort()}`
const createAgent = /createAgent.*deadpeer\/undici/
const whatItMustBe = /must be a net\.Socket/

export const mistakeRows: MistakeRow[] = [
  {
    what: 'undici `Client`',
    make: async () => [closedAfterwards(new undici.Client(await origin()), (it) => it.destroy())],
    message: createAgent,
  },
  {
    what: 'undici `Agent`',
    make: async () => [closedAfterwards(new undici.Agent(), (it) => it.destroy())],
    message: createAgent,
  },
  { what: '`Response` of fetch', make: async () => [await fetch(await origin())], message: createAgent },
  {
    what: 'result of undici `request`',
    make: async () => {
      const dispatcher = closedAfterwards(new undici.Agent(), (it) => it.destroy())
      const result = await undici.request(await origin(), { dispatcher })
      await result.body.dump()
      return [result]
    },
    message: createAgent,
  },
  {
    what: "WebSocket of undici, or Node's own",
    make: async () => {
      const dispatcher = closedAfterwards(new undici.Agent(), (it) => it.destroy())
      return [new undici.WebSocket((await origin()).replace('http', 'ws'), { dispatcher })]
    },
    message: createAgent,
  },
  { what: 'Promise', make: async () => [connectPair()], message: /Await it/ },
  {
    what: 'array, where one connection is taken',
    make: async () => [[]],
    message: /Use tuneAll, probeAll/,
  },
  {
    what: 'client with its connection as `stream`',
    make: async () => [{ stream: (await connectPair()).socket }],
    message: /Did you mean its stream\?/,
  },
  {
    what: 'client with `connection.stream`',
    make: async () => [{ connection: { stream: (await connectPair()).socket } }],
    message: /Did you mean its connection\.stream\?/,
  },
  { what: 'Express application', make: async () => [() => {}], message: /its listen\(\) returns/ },
  {
    what: 'UDP socket',
    make: async () => [closedAfterwards(dgram.createSocket('udp4'), (it) => it.close())],
    message: /UDP has no connections/,
  },
  { what: 'string', make: async () => ['socket'], message: whatItMustBe },
  { what: 'null', make: async () => [null], message: whatItMustBe },
  { what: 'undefined', make: async () => [undefined], message: whatItMustBe },
  { what: 'object without a connection', make: async () => [{}], message: whatItMustBe },
]

/** A row of docs/targets.md: a call, and what the error says to call instead. */
export interface WrongCallRow {
  readonly what: string
  readonly call: (socket: net.Socket) => unknown
  readonly message: RegExp
}

// What the types forbid, and JavaScript allows.
const anyTune = tune as (...args: unknown[]) => void
const anyTuneAll = tuneAll as (...args: unknown[]) => unknown
const anyWatch = watch as (options: unknown) => unknown

export const wrongCallRows: WrongCallRow[] = [
  {
    what: "`tune('lan', socket)`",
    call: (socket) => anyTune('lan', socket),
    message: /call tune\(target, profile\)/,
  },
  {
    what: "`tuneAll('lan', [socket])`",
    call: (socket) => anyTuneAll('lan', [socket]),
    message: /call tuneAll\(targets, profile\)/,
  },
  {
    what: '`watch(server)`',
    call: () => anyWatch(net.createServer()),
    message: /Did you mean watch\(\)\.add\(server\)\?/,
  },
  {
    what: '`watch(socket)`',
    call: (socket) => anyWatch(socket),
    message: /Did you mean watch\(\)\.add\(socket\)\?/,
  },
  {
    what: '`watch([socket])`',
    call: (socket) => anyWatch([socket]),
    message: /Did you mean watch\(\)\.add\(sockets\)\?/,
  },
  { what: '`watch(agent)`', call: () => anyWatch(new http.Agent()), message: /HttpAgent.*deadpeer\/http/ },
]
