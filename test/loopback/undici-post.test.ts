import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { expect, it, onTestFinished } from 'vitest'
import { createAgent } from '../../src/undici/index.js'
import { nextMessage } from '../support/next-message.js'

const TRIES = 10_000
const AT_ONCE = 16

it('never sends a POST without a key twice, however its connection dies', async () => {
  const script = fileURLToPath(new URL('fixtures/dying-server.mjs', import.meta.url))
  const child = fork(script, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const { port } = await nextMessage(child)
  let failed = 0

  /** With an agent, and so with a connection, of its own. */
  async function work(first: number): Promise<void> {
    const dispatcher = createAgent({ retryStale: true, connections: 1 })
    const post = async (path: string) => {
      const { body } = await request(`http://127.0.0.1:${port}/${path}`, {
        dispatcher,
        method: 'POST',
        body: 'body!',
      })
      await body.dump()
    }
    for (let i = first; i < TRIES; i += AT_ONCE) {
      // Where the last one ended the connection, undici may have yet to hear of it.
      for (let opened = false; !opened; ) {
        opened = await post('0').then(
          () => true,
          () => false,
        )
      }
      await post(String(i + 1)).catch(() => failed++)
    }
    await dispatcher.destroy()
  }

  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => work(i)))
  child.send('how many')
  const seen = await nextMessage(child)
  expect(failed).toBe(TRIES)
  expect(seen.most).toBe(1)
  expect(seen.different).toBe(TRIES)
}, 120_000)
