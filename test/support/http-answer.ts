import { once } from 'node:events'
import type http from 'node:http'
import type net from 'node:net'

export interface Answer {
  readonly request: http.ClientRequest
  readonly socket: net.Socket
  readonly body: string
}

/** The answer to a request, once its connection is free. */
export async function answerTo(request: http.ClientRequest): Promise<Answer> {
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const { socket } = response
  let body = ''
  response.setEncoding('utf8').on('data', (data) => (body += data))
  await once(response, 'end')
  // The connection is free by the time that the request is over.
  if (!request.closed) await once(request, 'close')
  await new Promise(setImmediate)
  return { request, socket, body }
}
