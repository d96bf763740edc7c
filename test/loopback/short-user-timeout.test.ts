import { describe, expect, it } from 'vitest'
import { tuneAllOrNone } from '../../src/cli/commands/tune/all-or-none.js'
import { Progress } from '../../src/cli/lib/progress.js'
import { defineProfile, detectionTime, explain, inspect, tune, tuneAll } from '../../src/index.js'
import { getUserTimeout, setUserTimeout } from '../../src/net-keepalive.js'
import { audit, timeline } from '../../src/path/index.js'
import { connectPair } from '../support/connections.js'

// A program that writes `userTimeout: 50` is refused: it means seconds. A socket that has 50 ms keeps them, and may have them again.

async function socketWithShortTimeout() {
  const { socket } = await connectPair()
  setUserTimeout(socket, 50)
  return socket
}

describe('a user timeout below 100 ms that a socket has', () => {
  it('can be set by deadpeer/net-keepalive', async () => {
    const socket = await socketWithShortTimeout()
    expect(getUserTimeout(socket)).toBe(50)
  })

  it('is restored by a profile that inspect read', async () => {
    const socket = await socketWithShortTimeout()
    const { profile } = inspect(socket)
    tune(socket, 'lan')
    expect(getUserTimeout(socket)).toBe(6_000)
    tune(socket, profile)
    expect(getUserTimeout(socket)).toBe(50)
    expect(await tuneAll([socket], defineProfile(profile))).toEqual([{}])
    expect(getUserTimeout(socket)).toBe(50)
  })

  it('is accepted by explain and audit as it was read', async () => {
    const socket = await socketWithShortTimeout()
    const { profile } = inspect(socket)
    expect(explain(profile).map(({ code }) => code)).toContain('user-timeout-under-a-second')
    expect(detectionTime(profile).inFlight).toBe(450)
    expect(timeline(profile)).toContain('user timeout 50 ms')
    expect(() => audit(socket, ['aws-nlb'])).not.toThrow()
  })

  it('is refused in a copy, because a program may have changed it', async () => {
    const socket = await socketWithShortTimeout()
    const { profile } = inspect(socket)
    expect(() => tune(socket, { ...profile, count: 5 })).toThrow(
      /userTimeout .* must not be a time below 100 ms.*; got 50 ms/,
    )
  })

  it('is restored when a command that tunes many connections is interrupted', async () => {
    const socket = await socketWithShortTimeout()
    const { profile: before } = inspect(socket)
    const profile = defineProfile({ userTimeout: 30_000 })
    const tuned = await tuneAllOrNone(
      [{ target: socket, before }],
      profile,
      AbortSignal.abort(),
      new Progress(''),
    )
    expect(tuned).toMatchObject({ error: new Error('interrupted'), notPutBack: 0 })
    expect(getUserTimeout(socket)).toBe(50)
  })
})
