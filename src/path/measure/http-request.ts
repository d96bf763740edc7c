import type net from 'node:net'

/** The longest head of a response, bytes. */
const LONGEST_HEAD = 65_536

/**
 * Sends one HEAD request and waits for the response, so that an HTTP server keeps the connection for the next request.
 *
 * @param host for the Host header.
 * @throws (rejects) if the server closes the connection, or says that it will.
 */
export async function requestOnce(stream: net.Socket, host: string): Promise<void> {
  const head = await new Promise<string>((resolve, reject) => {
    let text = ''
    const onData = (data: Buffer) => {
      text += data.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      if (end >= 0) done(() => resolve(text.slice(0, end)))
      else if (text.length > LONGEST_HEAD) done(() => reject(new Error('the response is not HTTP')))
    }
    const onEnd = () => done(() => reject(notKept('it closed the connection before it responded')))
    const onError = (error: Error) => done(() => reject(error))
    const onClose = () => done(() => reject(notKept('the connection was closed before the response')))
    const done = (settle: () => void) => {
      stream.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose)
      settle()
    }
    stream.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose)
    stream.write(`HEAD / HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: deadpeer\r\nConnection: keep-alive\r\n\r\n`)
  })
  if (!head.startsWith('HTTP/1.')) throw new Error('the response is not HTTP/1.1')
  const closes = /\r\nconnection:[^\r]*\bclose\b/i.test(head)
  const isOld = head.startsWith('HTTP/1.0') && !/\r\nconnection:[^\r]*\bkeep-alive\b/i.test(head)
  if (closes || isOld) throw notKept('its response says that it closes the connection')
}

function notKept(why: string): Error {
  return Object.assign(new Error(`the HTTP server does not keep the connection: ${why}`), {
    code: 'ERR_NOT_KEPT',
  })
}
