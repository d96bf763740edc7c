const assert = require('node:assert/strict')
const { once } = require('node:events')
const net = require('node:net')
const { setTimeout: delay } = require('node:timers/promises')

const before = { initialDelay: 20_000, interval: 5_000, count: 4 }
const after = { initialDelay: 30_000, interval: 6_000, count: 5 }

/**
 * Uses one connection through two loaded copies of the package: one sends heartbeats, the other tunes and probes. Throws if they do not share their
 * state.
 */
exports.shareConnection = async (first, second) => {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const socket = net.connect(server.address().port, '127.0.0.1')
  const [peer] = await accepted
  const fields = ({ initialDelay, interval, count }) => ({ initialDelay, interval, count })
  try {
    first.tune(socket, before)
    const watcher = first.watch({ heartbeat: { every: 1_000 } }).add(socket)
    // The kernel sends the heartbeats once it has other options for that.
    const { inForce } = await until(
      () => first.inspect(socket),
      ({ inForce, profile }) => inForce.initialDelay !== profile.initialDelay,
    )
    const seen = second.inspect(socket)
    assert.deepEqual([fields(seen.profile), fields(seen.inForce)], [before, fields(inForce)])

    second.tune(socket, after)
    assert.deepEqual(fields(first.inspect(socket).profile), after)
    assert.equal((await second.probe(socket)).alive, true)
    watcher.close()
    const restored = await until(
      () => second.inspect(socket),
      ({ inForce }) => inForce.initialDelay === after.initialDelay,
    )
    assert.deepEqual([fields(restored.profile), fields(restored.inForce)], [after, after])
  } finally {
    for (const each of [socket, peer]) each.destroy()
    server.close()
  }
}

async function until(read, isReady) {
  const deadline = performance.now() + 10_000
  for (;;) {
    const value = read()
    if (isReady(value)) return value
    if (performance.now() > deadline) throw new Error(`not so within 10 s: ${JSON.stringify(value)}`)
    await delay(50)
  }
}
