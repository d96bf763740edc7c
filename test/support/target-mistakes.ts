import dgram from 'node:dgram'
import http from 'node:http'
import net from 'node:net'
import axios from 'axios'
import { Queue } from 'bullmq'
import { Kafka } from 'kafkajs'
import knex from 'knex'
import { MongoClient } from 'mongodb'
import mysql from 'mysql2'
import pg from 'pg'
import postgres from 'postgres'
import { createClient } from 'redis'
import * as undici from 'undici'
import { detectionTime, probe, tune, tuneAll, watch } from '../../src/index.js'
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
const deadpeerRun = /not reachable from outside: use `deadpeer run`.*docs\/guide\.md/
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
  {
    what: 'Express application',
    make: async () => [Object.assign(() => {}, { handle() {}, listen() {} })],
    message: /its listen\(\) returns/,
  },
  { what: 'another function', make: async () => [() => {}], message: whatItMustBe },
  { what: '`fetch`', make: async () => [fetch], message: createAgent },
  { what: '`axios`', make: async () => [axios], message: /httpAgent/ },
  { what: 'knex', make: async () => [knex({ client: 'pg' })], message: deadpeerRun },
  {
    what: '`sql` of postgres.js',
    make: async () => [postgres('postgres://127.0.0.1:1')],
    message: deadpeerRun,
  },
  { what: '`Pool` of pg', make: async () => [new pg.Pool()], message: deadpeerRun },
  {
    what: 'pool of mysql2',
    make: async () => [closedAfterwards(mysql.createPool({}), (it) => it.end(() => {}))],
    message: deadpeerRun,
  },
  {
    what: '`Queue` or `Worker` of BullMQ',
    // Its constructor connects.
    make: async () => [Object.assign(Object.create(Queue.prototype), { opts: {} })],
    message: deadpeerRun,
  },
  { what: 'client of node-redis', make: async () => [createClient()], message: deadpeerRun },
  {
    what: 'connection of nats',
    make: async () => [{ publish() {}, subscribe() {}, drain() {}, getServer() {} }],
    message: deadpeerRun,
  },
  {
    what: '`MongoClient` of mongodb',
    make: async () => [new MongoClient('mongodb://127.0.0.1:1')],
    message: deadpeerRun,
  },
  {
    what: '`Kafka` of kafkajs',
    make: async () => [new Kafka({ brokers: ['127.0.0.1:1'] })],
    message: deadpeerRun,
  },
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

const anyProbe = probe as (...args: unknown[]) => unknown
const anyDetectionTime = detectionTime as (profile: unknown) => unknown

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
    what: "`tune('lan', server)`",
    call: () => anyTune('lan', net.createServer()),
    message: /call tune\(target, profile\)/,
  },
  {
    what: '`tune({ count: 3 }, server)`',
    call: () => anyTune({ count: 3 }, net.createServer()),
    message: /call tune\(target, profile\)/,
  },
  {
    what: '`probe({ attempts: 1 }, socket)`',
    call: (socket) => anyProbe({ attempts: 1 }, socket),
    message: /call probe\(target, options\)/,
  },
  {
    what: "`tuneAll(socket, 'lan')`",
    call: (socket) => anyTuneAll(socket, 'lan'),
    message: /Got one connection: use tune, or put it into an array/,
  },
  {
    what: "`tuneAll(promise, 'lan')`",
    call: () => anyTuneAll(Promise.resolve([]), 'lan'),
    message: /Got a Promise: await it/,
  },
  {
    what: '`watch(promise)`',
    call: () => anyWatch(Promise.resolve()),
    message: /must be an object such as .*; got a Promise/,
  },
  {
    what: '`detectionTime(socket)`',
    call: (socket) => anyDetectionTime(socket),
    message: /pass inspect\(socket\)\.profile/i,
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
