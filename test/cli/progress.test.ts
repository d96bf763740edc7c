import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deadpeer } from '../support/deadpeer-command.js'
import { hasTmux, Terminal } from '../support/terminal.js'

/** The delay of each response in ms. Two requests take longer than a second, after which progress is shown. */
const SLOW = 1_200
const server = http.createServer(async (_, response) => {
  await delay(SLOW)
  response.end('at last')
})
let url: string
beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
})
afterAll(() => server.close())

describe('the progress of a command that takes over a second', () => {
  it.runIf(hasTmux)('is shown on stderr in a terminal, and erased at the end', async () => {
    using terminal = new Terminal(['http', url])
    await terminal.shows(new RegExp(`^requesting ${url}, [1-9] s$`))
    expect(await terminal.ends()).toBe(0)
    const text = terminal.all().join('\n')
    expect(text).toContain('request 2')
    expect(text).not.toContain('requesting')
  })

  it('is not shown in a pipe', async () => {
    expect(await deadpeer(['http', url])).toMatchObject({ code: 0, err: [] })
  })
})
