import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { profiles } from '../../src/index.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

it('tunes connections and servers when no descriptor is free', () => {
  // Presets are tried on a socket of our own first: here there is none to be had.
  const script = `
    import { openSync } from 'node:fs'
    import { once } from 'node:events'
    import net from 'node:net'
    import { capabilities, inspect, tune, tuneAll } from 'deadpeer'
    const server = net.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const socket = net.connect(server.address().port, '127.0.0.1')
    const [[peer]] = await Promise.all([once(server, 'connection'), once(socket, 'connect')])
    inspect(socket)
    try { for (;;) openSync('/dev/null') } catch ({ code }) { if (code !== 'EMFILE') throw code }
    tune(socket, 'lan')
    tune(server, 'lan')
    tune(peer, 'cloud', { bestEffort: true })
    const { profile } = inspect(socket)
    const results = await tuneAll([socket, peer], 'datacenter')
    console.log(JSON.stringify({ profile, after: inspect(peer).profile, results, native: capabilities().native }))
    process.exit()`
  const shell = 'ulimit -n 64 && exec "$@"'
  const args = ['-c', shell, 'sh', process.execPath, '--input-type=module', '-e', script]
  const outcome = JSON.parse(execFileSync('sh', args, { encoding: 'utf8', cwd: root }))
  expect(outcome.profile).toMatchObject(profiles.lan)
  expect(outcome.after).toMatchObject(profiles.datacenter)
  expect(outcome).toMatchObject({ results: [{}, {}], native: true })
})
