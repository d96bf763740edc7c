import { expect, it, vi } from 'vitest'
import { leaveOut } from '../support/skip-reason.js'

it.each([
  { what: 'skipped with the reason', required: '', fails: false },
  { what: 'a failure with the reason where privileges are required', required: 'required', fails: true },
])('treats a test without its privileges as $what', ({ required, fails }) => {
  vi.stubEnv('DEADPEER_TEST_PRIVILEGES', required)
  const log = vi.spyOn(console, 'log').mockImplementation(() => {})
  const leave = () => leaveOut('no namespace')
  if (fails) expect(leave).toThrow('no namespace')
  else leave()
  expect(log.mock.calls).toEqual(fails ? [] : [['# skipped: no namespace']])
  log.mockRestore()
  vi.unstubAllEnvs()
})
