const deadpeer = require('deadpeer')
const { shareConnection } = require('./share-connection.cjs')

test('has one state, also after the modules were reset', async () => {
  const first = { ...deadpeer }
  jest.resetModules()
  const second = require('deadpeer')
  expect(second.tune).not.toBe(first.tune)
  await shareConnection(first, second)
  const { native } = second.capabilities()
  process.stdout.write(`${JSON.stringify({ native, count: 4 })}\n`)
}, 30_000)
