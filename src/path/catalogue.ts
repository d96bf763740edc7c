import type { Certainty, Hop, ProbeSource, Source } from './hop.js'

const s = 1_000
const min = 60 * s
const hour = 60 * min
const day = 24 * hour

const amazon = (title: string, path: string, date: string): Source => ({
  title,
  url: `https://docs.aws.amazon.com/${path}`,
  date,
})

/** At layer 4, forwards packets: drops an idle connection silently. A keepalive probe counts as traffic. */
const dropsSilently = { layer: 4, onExpiry: 'silent', endsTcp: false, probesCount: true } as const
/** At layer 4, terminates TCP: it has one connection to each side, and closes both when they are idle. */
const tcpProxy = { layer: 4, onExpiry: 'close', endsTcp: true, probesCount: false } as const
/** At layer 7, terminates TCP: it has one connection to each side, and closes each when no request arrives. */
const httpProxy = {
  layer: 7,
  protocol: 'http',
  onExpiry: 'close',
  endsTcp: true,
  probesCount: false,
} as const

const documented = { certainty: 'documented' } as const
const reported = { certainty: 'reported' } as const
const uncertain = { certainty: 'uncertain' } as const

const rfc = {
  title: 'RFC 9293, 3.10.7.4: a segment outside the window must be acknowledged',
  url: 'https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4',
  date: '2022-08',
} as const
/** No source speaks of this hop. It forwards probes, or it terminates TCP and must acknowledge them itself. */
const answersByRule = { answersProbes: 'yes', probeSource: { ...rfc, ...uncertain } } as const
/** The kernel of the host that it runs on terminates TCP. */
const kernelAnswers = { answersProbes: 'yes', probeSource: { ...rfc, ...documented } } as const

const answers = (probeSource: ProbeSource) => ({ answersProbes: 'yes', probeSource }) as const

/** AWS recommends TCP keepalive through these services. */
const keepaliveInVpc = answers({
  ...documented,
  title: 'Implementing long-running TCP connections within VPC networking',
  url: 'https://aws.amazon.com/blogs/networking-and-content-delivery/implementing-long-running-tcp-connections-within-vpc-networking/',
  date: '2026-11',
})

const globalAccelerator: ProbeSource = {
  ...reported,
  title: 'nodejs/node 63043: long requests through AWS Global Accelerator fail with ETIMEDOUT',
  url: 'https://github.com/nodejs/node/issues/63043',
  date: '2026-05',
  note: 'acknowledges the first probes of an idle connection, and later none',
}

/** The range of a setting whose documentation gives no limits. */
const anyTime = [1, 2 ** 31 * s] as const

/** The rows by name, all times in ms. A function, so that `import 'deadpeer'` does not build them. */
const rows = () =>
  ({
    'aws-nlb': {
      ...dropsSilently,
      ...documented,
      ...keepaliveInVpc,
      title: 'AWS Network Load Balancer, TCP listener',
      idleTimeout: 350 * s,
      range: [60 * s, 6_000 * s],
      setting: 'tcp.idle_timeout.seconds',
      note: 'sends nothing when the timeout expires; answers later segments with a reset',
      source: amazon(
        'Update the TCP idle timeout for your Network Load Balancer listener',
        'elasticloadbalancing/latest/network/update-idle-timeout.html',
        '2024-09',
      ),
    },
    'aws-nlb-tls': {
      ...dropsSilently,
      ...documented,
      ...answersByRule,
      title: 'AWS Network Load Balancer, TLS listener',
      endsTcp: true,
      idleTimeout: 350 * s,
      source: amazon(
        'Update the TCP idle timeout for your Network Load Balancer listener',
        'elasticloadbalancing/latest/network/update-idle-timeout.html',
        '2024-09',
      ),
    },
    'aws-gwlb': {
      ...dropsSilently,
      ...documented,
      ...keepaliveInVpc,
      title: 'AWS Gateway Load Balancer',
      idleTimeout: 350 * s,
      range: [60 * s, 6_000 * s],
      setting: 'tcp.idle_timeout.seconds',
      source: amazon(
        'Update the TCP idle timeout for your Gateway Load Balancer listener',
        'elasticloadbalancing/latest/gateway/update-idle-timeout.html',
        '2024-09',
      ),
    },
    'aws-alb': {
      ...httpProxy,
      ...documented,
      ...answers({
        ...reported,
        title: 'nodejs/node 63043: packet captures without AWS Global Accelerator',
        url: 'https://github.com/nodejs/node/issues/63043',
        date: '2026-05',
      }),
      title: 'AWS Application Load Balancer',
      idleTimeout: 60 * s,
      range: [1 * s, 4_000 * s],
      setting: 'idle_timeout.timeout_seconds',
      note: 'for both sides; HTTP/2 PING frames do not count as traffic',
      source: amazon(
        'Edit attributes for your Application Load Balancer: connection idle timeout',
        'elasticloadbalancing/latest/application/edit-load-balancer-attributes.html',
        '2026-11',
      ),
    },
    'aws-clb': {
      ...httpProxy,
      ...documented,
      ...answersByRule,
      title: 'AWS Classic Load Balancer',
      idleTimeout: 60 * s,
      range: [1 * s, 3_600 * s],
      setting: 'ConnectionSettings.IdleTimeout',
      source: amazon(
        'Configure the idle connection timeout for your Classic Load Balancer',
        'elasticloadbalancing/latest/classic/config-idle-timeout.html',
        '2026-11',
      ),
    },
    'aws-nat-gateway': {
      ...dropsSilently,
      ...reported,
      ...keepaliveInVpc,
      title: 'AWS NAT gateway',
      idleTimeout: 350 * s,
      onExpiry: 'reset',
      note: 'answers later segments with a reset; another AWS page says that it drops them',
      source: amazon(
        'Troubleshoot NAT gateways: connection drops after 350 seconds',
        'vpc/latest/userguide/nat-gateway-troubleshooting.html',
        '2026-11',
      ),
    },
    'aws-privatelink': {
      ...dropsSilently,
      ...documented,
      ...keepaliveInVpc,
      title: 'AWS interface VPC endpoint',
      idleTimeout: 350 * s,
      source: {
        title: 'Implementing long-running TCP connections within VPC networking',
        url: 'https://aws.amazon.com/blogs/networking-and-content-delivery/implementing-long-running-tcp-connections-within-vpc-networking/',
        date: '2026-11',
      },
    },
    'aws-global-accelerator': {
      ...tcpProxy,
      ...documented,
      answersProbes: 'unreliable',
      probeSource: globalAccelerator,
      title: 'AWS Global Accelerator',
      idleTimeout: 340 * s,
      onExpiry: 'silent',
      note: 'only data counts: a segment without payload, such as a keepalive probe, does not. The source does not say what happens on expiry',
      source: amazon(
        'AWS Global Accelerator: how it works, idle timeout',
        'global-accelerator/latest/dg/introduction-how-it-works.html',
        '2026-11',
      ),
    },
    'aws-network-firewall': {
      ...dropsSilently,
      ...documented,
      ...answers({
        ...documented,
        ...amazon('FlowTimeouts', 'network-firewall/latest/APIReference/API_FlowTimeouts.html', '2026-11'),
      }),
      title: 'AWS Network Firewall',
      idleTimeout: 350 * s,
      range: [60 * s, 6_000 * s],
      setting: 'TcpIdleTimeoutSeconds',
      source: amazon('FlowTimeouts', 'network-firewall/latest/APIReference/API_FlowTimeouts.html', '2026-11'),
    },
    'ec2-conntrack': {
      ...dropsSilently,
      ...documented,
      ...answersByRule,
      title: 'EC2 security group, connection tracking',
      idleTimeout: 5 * day,
      range: [60 * s, 5 * day],
      setting: 'TcpEstablishedTimeout',
      source: amazon(
        'ConnectionTrackingConfiguration',
        'AWSEC2/latest/APIReference/API_ConnectionTrackingConfiguration.html',
        '2026-11',
      ),
    },
    'ec2-conntrack-nitro-v6': {
      ...dropsSilently,
      ...documented,
      ...answersByRule,
      title: 'EC2 security group, connection tracking on Nitro v6 instances',
      idleTimeout: 350 * s,
      range: [60 * s, 5 * day],
      setting: 'TcpEstablishedTimeout',
      source: amazon(
        'ConnectionTrackingConfiguration',
        'AWSEC2/latest/APIReference/API_ConnectionTrackingConfiguration.html',
        '2026-11',
      ),
    },
    'azure-lb': {
      ...dropsSilently,
      ...documented,
      ...answers({
        ...documented,
        title: 'Load Balancer TCP Reset and Idle Timeout',
        url: 'https://learn.microsoft.com/en-us/azure/load-balancer/load-balancer-tcp-reset',
        date: '2024-07',
      }),
      title: 'Azure Load Balancer',
      idleTimeout: 4 * min,
      range: [4 * min, 100 * min],
      setting: 'idleTimeoutInMinutes',
      note: 'with enableTcpReset, sends a reset to both ends',
      source: {
        title: 'Configure TCP reset and idle timeout for Azure Load Balancer',
        url: 'https://learn.microsoft.com/en-us/azure/load-balancer/load-balancer-tcp-idle-timeout',
        date: '2024-02',
      },
    },
    'azure-nat-gateway': {
      ...dropsSilently,
      ...documented,
      ...answersByRule,
      title: 'Azure NAT gateway',
      idleTimeout: 4 * min,
      range: [4 * min, 120 * min],
      setting: 'idleTimeoutInMinutes',
      source: {
        title: 'ManagedClusterNATGatewayProfile: idleTimeoutInMinutes',
        url: 'https://learn.microsoft.com/en-us/javascript/api/@azure/arm-containerservice/managedclusternatgatewayprofile',
        date: '2026-11',
      },
    },
    'gcp-vpc': {
      ...dropsSilently,
      ...documented,
      ...answers({
        ...documented,
        title: 'Troubleshooting Compute Engine: adjust TCP keepalive to less than 600 seconds',
        url: 'https://cloud.google.com/compute/docs/troubleshooting',
        date: '2025-08',
      }),
      title: 'Google Cloud VPC firewall',
      idleTimeout: 10 * min,
      source: {
        title: 'Troubleshooting Compute Engine: 10 minutes of connection tracking',
        url: 'https://cloud.google.com/compute/docs/troubleshooting',
        date: '2025-08',
      },
    },
    'gcp-alb': {
      ...httpProxy,
      ...documented,
      ...answersByRule,
      title: 'Google Cloud external Application Load Balancer, global',
      idleTimeout: 610 * s,
      range: [5 * s, 1_200 * s],
      setting: 'httpKeepAliveTimeoutSec',
      upstream: { idleTimeout: 600 * s },
      source: {
        title: 'Request distribution for external Application Load Balancers',
        url: 'https://cloud.google.com/load-balancing/docs/https/request-distribution',
        date: '2026-11',
      },
    },
    'gcp-passthrough-internal': {
      ...dropsSilently,
      ...documented,
      ...answersByRule,
      title: 'Google Cloud internal passthrough Network Load Balancer',
      idleTimeout: 10 * min,
      range: [10 * min, 16 * hour],
      setting: 'idleTimeoutSec',
      source: {
        title: 'BackendServiceConnectionTrackingPolicy: idleTimeoutSec',
        url: 'https://cloud.google.com/compute/docs/reference/rest/v1/backendServices',
        date: '2026-11',
      },
    },
    'gcp-passthrough-external': {
      ...dropsSilently,
      ...documented,
      ...answersByRule,
      title: 'Google Cloud external passthrough Network Load Balancer',
      idleTimeout: 60 * s,
      source: {
        title: 'BackendServiceConnectionTrackingPolicy: idleTimeoutSec',
        url: 'https://cloud.google.com/compute/docs/reference/rest/v1/backendServices',
        date: '2026-11',
      },
    },
    'gcp-cloud-nat': {
      ...dropsSilently,
      ...reported,
      ...answersByRule,
      title: 'Google Cloud NAT',
      idleTimeout: 1_200 * s,
      range: anyTime,
      setting: 'tcpEstablishedIdleTimeoutSec',
      source: {
        title: 'How to configure Cloud NAT timeout values for long-lived TCP connections',
        url: 'https://oneuptime.com/blog/post/2026-02-17-how-to-configure-cloud-nat-timeout-values-for-long-lived-tcp-connections-in-gcp/view',
        date: '2026-02',
      },
    },
    'ibm-vpc-public-gateway': {
      ...dropsSilently,
      ...documented,
      ...answersByRule,
      title: 'IBM Cloud VPC public gateway',
      idleTimeout: 4 * min,
      source: {
        title: 'Troubleshooting outgoing connection issues with IBM VPC public and service gateways',
        url: 'https://www.ibm.com/blog/troubleshooting-outgoing-connection-issues-with-ibm-vpc-public-and-service-gateways/',
        date: '2026-11',
      },
    },
    'oracle-nlb': {
      ...dropsSilently,
      ...documented,
      ...answersByRule,
      title: 'Oracle Cloud Network Load Balancer',
      idleTimeout: 360 * s,
      range: anyTime,
      setting: 'tcp-idle-timeout',
      source: {
        title: "Changing a Listener's Idle Timeout",
        url: 'https://docs.oracle.com/en-us/iaas/Content/NetworkLoadBalancer/NetworkLoadBalancers/configure-idle-timeout.htm',
        date: '2026-11',
      },
    },
    'oracle-lb': {
      ...httpProxy,
      ...documented,
      ...answersByRule,
      title: 'Oracle Cloud Load Balancer',
      idleTimeout: 65 * s,
      upstream: { idleTimeout: 300 * s },
      source: {
        title: 'Load Balancer Timeout Connection Settings',
        url: 'https://docs.cloud.oracle.com/Content/Balance/Reference/connectionreuse.htm',
        date: '2025-05',
      },
    },
    'linux-conntrack': {
      ...dropsSilently,
      ...documented,
      ...answersByRule,
      title: 'Linux connection tracking: NAT or firewall (iptables, nftables)',
      idleTimeout: 5 * day,
      range: anyTime,
      setting: 'net.netfilter.nf_conntrack_tcp_timeout_established',
      note: '5 min for a connection with unacknowledged data',
      source: {
        title: 'nf_conntrack sysctls',
        url: 'https://docs.kernel.org/networking/nf_conntrack-sysctl.html',
        date: '2026-11',
      },
    },
    'kube-proxy': {
      ...dropsSilently,
      ...documented,
      ...answersByRule,
      title: 'Kubernetes kube-proxy, iptables or nftables mode',
      idleTimeout: 1 * day,
      range: anyTime,
      setting: '--conntrack-tcp-timeout-established',
      source: {
        title: 'kube-proxy command line',
        url: 'https://kubernetes.io/docs/reference/command-line-tools-reference/kube-proxy/',
        date: '2026-11',
      },
    },
    'kube-proxy-ipvs': {
      ...dropsSilently,
      ...documented,
      ...answersByRule,
      title: 'Kubernetes kube-proxy, IPVS mode, and Linux IPVS itself',
      idleTimeout: 15 * min,
      range: anyTime,
      setting: '--ipvs-tcp-timeout',
      note: 'later segments get a reset',
      source: {
        title: 'Linux, net/netfilter/ipvs/ip_vs_proto_tcp.c: tcp_timeouts',
        url: 'https://github.com/torvalds/linux/blob/master/net/netfilter/ipvs/ip_vs_proto_tcp.c',
        date: '2026-11',
      },
    },
    'docker-userland-proxy': {
      ...tcpProxy,
      ...documented,
      ...kernelAnswers,
      title: 'Docker userland proxy (docker-proxy)',
      idleTimeout: Number.POSITIVE_INFINITY,
      onExpiry: 'nothing',
      source: {
        title: 'moby, cmd/docker-proxy/tcp_proxy_linux.go',
        url: 'https://github.com/moby/moby/blob/master/cmd/docker-proxy/tcp_proxy_linux.go',
        date: '2026-11',
      },
    },
    'docker-desktop-mac': {
      ...tcpProxy,
      ...documented,
      answersProbes: 'no',
      probeSource: {
        ...reported,
        title: 'docker/desktop-feedback 614: keepalive probes from containers are never answered',
        url: 'https://github.com/docker/desktop-feedback/issues/614',
        date: '2026-08',
        note: 'since version 4.87.0; 4.86.0 acknowledges probes',
      },
      title: 'Docker Desktop for macOS, connections from containers',
      idleTimeout: 300 * s,
      range: anyTime,
      setting: 'VpnKitMaxPortIdleTime',
      source: {
        title: 'Docker Desktop, settings reference: VpnKitMaxPortIdleTime',
        url: 'https://docs.docker.com/security/for-admins/hardened-desktop/settings-management/settings-reference/',
        date: '2026-11',
      },
    },
    passt: {
      ...tcpProxy,
      ...uncertain,
      ...answers({
        ...reported,
        title: 'passt-dev: tcp_data_from_tap() acknowledges keep-alive segments',
        url: 'https://lists.seitan.rocks/hyperkitty/list/passt-dev@passt.top/message/SB727SWQE75I6EBTMRHRQGPRYSAAIRAA',
        date: '2026-12',
        note: 'versions without this change do not acknowledge them; the source does not name a version',
      }),
      title: 'passt and pasta: user-mode network of Podman, QEMU and KubeVirt',
      idleTimeout: 2 * hour,
      onExpiry: 'reset',
      probesCount: true,
      note: '2 to 4 h with a patch of February 2026; without it, the timeout has no effect',
      source: {
        title: 'passt-dev: reworks and improvements to TCP activity timers',
        url: 'https://archives.passt.top/passt-dev/20260204114137.2784090-1-david@gibson.dropbear.id.au/t',
        date: '2026-02',
      },
    },
    slirp: {
      ...tcpProxy,
      ...documented,
      ...answers({
        ...documented,
        title: 'libslirp, src/tcp_input.c: a segment that begins before the window is acknowledged',
        url: 'https://gitlab.freedesktop.org/slirp/libslirp/-/blob/master/src/tcp_input.c',
        date: '2026-11',
      }),
      title: 'libslirp: user-mode network of QEMU, and slirp4netns',
      idleTimeout: Number.POSITIVE_INFINITY,
      onExpiry: 'nothing',
      source: {
        title: 'libslirp, src/tcp_timer.c',
        url: 'https://gitlab.freedesktop.org/slirp/libslirp/-/blob/master/src/tcp_timer.c',
        date: '2026-11',
      },
    },
    'gvisor-netstack': {
      ...tcpProxy,
      ...uncertain,
      ...answers({
        ...documented,
        title: 'gVisor, pkg/tcpip/transport/tcp/rcv.go: maybeSendOutOfWindowAck',
        url: 'https://github.com/google/gvisor/blob/master/pkg/tcpip/transport/tcp/rcv.go',
        date: '2026-11',
      }),
      title:
        'Forwarder with gVisor netstack: Tailscale with userspace networking, gvisor-tap-vsock (Podman machine)',
      idleTimeout: Number.POSITIVE_INFINITY,
      onExpiry: 'nothing',
      note: 'netstack has no idle timeout; a program that uses it may have one',
      source: {
        title: 'gVisor, pkg/tcpip/transport/tcp',
        url: 'https://github.com/google/gvisor/tree/master/pkg/tcpip/transport/tcp',
        date: '2026-11',
      },
    },
    'wsl-nat': {
      ...dropsSilently,
      ...uncertain,
      ...answers({
        ...reported,
        title: 'microsoft/WSL 10741: packet capture with NAT networking',
        url: 'https://github.com/microsoft/WSL/issues/10741',
        date: '2023-11',
      }),
      title: 'WSL 2, NAT networking',
      idleTimeout: 30 * min,
      note: '30 min is the default of Windows NAT (TcpEstablishedConnectionTimeout); no source says that WSL keeps it',
      source: {
        title: 'Set-NetNat: TcpEstablishedConnectionTimeout',
        url: 'https://learn.microsoft.com/en-us/powershell/module/netnat/set-netnat',
        date: '2026-11',
      },
    },
    'wsl-mirrored': {
      ...dropsSilently,
      ...uncertain,
      answersProbes: 'unreliable',
      probeSource: {
        ...reported,
        title: 'microsoft/WSL 10741: mirrored mode keep-alive not working',
        url: 'https://github.com/microsoft/WSL/issues/10741',
        date: '2024-02',
        note: 'probes that Windows sends arrive damaged, and Linux resets the connection; no source says whether probes that Linux sends are acknowledged, or which version is fixed',
      },
      title: 'WSL 2, mirrored networking, connections to Windows over localhost',
      idleTimeout: Number.POSITIVE_INFINITY,
      onExpiry: 'nothing',
      note: 'no source names an idle timeout',
      source: {
        title: 'microsoft/WSL 10741: mirrored mode keep-alive not working',
        url: 'https://github.com/microsoft/WSL/issues/10741',
        date: '2024-02',
      },
    },
    'cisco-asa': {
      ...dropsSilently,
      ...documented,
      ...answersByRule,
      title: 'Cisco ASA: firewall, and gateway of AnyConnect VPNs',
      idleTimeout: 1 * hour,
      range: [1 * s, 1_193 * hour],
      setting: 'set connection timeout idle',
      note: 'with the keyword reset, sends a reset to both ends',
      source: {
        title: 'Cisco ASA Firewall CLI Configuration Guide: Configuring Connection Settings',
        url: 'https://www.cisco.com/c/en/us/td/docs/security/asa/asa91/configuration/firewall/asa_91_firewall_config/conns_connlimits.html',
        date: '2026-11',
      },
    },
    nginx: {
      ...httpProxy,
      ...documented,
      ...kernelAnswers,
      title: 'nginx, http',
      idleTimeout: 75 * s,
      range: anyTime,
      setting: 'keepalive_timeout',
      upstream: { idleTimeout: 60 * s, range: anyTime, setting: 'keepalive_timeout (upstream)' },
      note: 'keeps connections to the server only if the upstream block has keepalive',
      source: {
        title: 'Modules ngx_http_core_module and ngx_http_upstream_module: keepalive_timeout',
        url: 'https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_timeout',
        date: '2026-11',
      },
    },
    'nginx-stream': {
      ...tcpProxy,
      ...documented,
      ...kernelAnswers,
      title: 'nginx, stream (TCP)',
      idleTimeout: 10 * min,
      range: anyTime,
      setting: 'proxy_timeout',
      source: {
        title: 'Module ngx_stream_proxy_module: proxy_timeout',
        url: 'https://nginx.org/en/docs/stream/ngx_stream_proxy_module.html#proxy_timeout',
        date: '2026-11',
      },
    },
    haproxy: {
      ...httpProxy,
      ...documented,
      ...kernelAnswers,
      title: 'HAProxy, mode http',
      idleTimeout: 50 * s,
      range: anyTime,
      setting: 'timeout http-keep-alive',
      note: "the value of Debian's configuration (timeout client, timeout server); HAProxy itself has no default and keeps connections forever",
      source: {
        title: 'Debian, /etc/haproxy/haproxy.cfg; HAProxy Configuration Manual: timeout client',
        url: 'https://docs.haproxy.org/2.6/configuration.html#timeout%20client',
        date: '2026-11',
      },
    },
    'haproxy-tcp': {
      ...tcpProxy,
      ...documented,
      ...kernelAnswers,
      title: 'HAProxy, mode tcp',
      idleTimeout: 50 * s,
      range: anyTime,
      setting: 'timeout client, timeout server, timeout tunnel',
      note: "the value of Debian's configuration; HAProxy itself has no default and keeps connections forever",
      source: {
        title: 'Debian, /etc/haproxy/haproxy.cfg; HAProxy Configuration Manual: timeout tunnel',
        url: 'https://docs.haproxy.org/2.6/configuration.html#timeout%20tunnel',
        date: '2026-11',
      },
    },
    envoy: {
      ...httpProxy,
      ...documented,
      ...kernelAnswers,
      title: 'Envoy, HTTP connection manager; Istio',
      idleTimeout: 1 * hour,
      range: anyTime,
      setting: 'common_http_protocol_options.idle_timeout',
      source: {
        title: 'How do I configure timeouts?',
        url: 'https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/timeouts',
        date: '2026-11',
      },
    },
    'envoy-tcp': {
      ...tcpProxy,
      ...documented,
      ...kernelAnswers,
      title: 'Envoy, TCP proxy',
      idleTimeout: 1 * hour,
      range: anyTime,
      setting: 'idle_timeout (TcpProxy)',
      source: {
        title: 'How do I configure timeouts?',
        url: 'https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/timeouts',
        date: '2026-11',
      },
    },
    traefik: {
      ...httpProxy,
      ...documented,
      ...kernelAnswers,
      title: 'Traefik, HTTP',
      idleTimeout: 180 * s,
      range: anyTime,
      setting: 'respondingTimeouts.idleTimeout',
      upstream: { idleTimeout: 90 * s, range: anyTime, setting: 'forwardingTimeouts.idleConnTimeout' },
      source: {
        title: 'EntryPoints: respondingTimeouts; ServersTransport: forwardingTimeouts',
        url: 'https://doc.traefik.io/traefik/routing/entrypoints/#respondingtimeouts',
        date: '2026-11',
      },
    },
    cloudflare: {
      ...httpProxy,
      ...documented,
      ...answersByRule,
      title: 'Cloudflare, proxied HTTP',
      idleTimeout: 400 * s,
      upstream: { idleTimeout: 900 * s },
      source: {
        title: 'Connection limits',
        url: 'https://developers.cloudflare.com/fundamentals/reference/connection-limits/',
        date: '2024-05',
      },
    },
    pgbouncer: {
      layer: 7,
      protocol: 'postgresql',
      endsTcp: true,
      probesCount: false,
      ...documented,
      ...kernelAnswers,
      title: 'PgBouncer',
      idleTimeout: Number.POSITIVE_INFINITY,
      onExpiry: 'nothing',
      range: anyTime,
      setting: 'client_idle_timeout',
      upstream: { idleTimeout: 600 * s, range: anyTime, setting: 'server_idle_timeout' },
      source: {
        title: 'PgBouncer config: client_idle_timeout, server_idle_timeout',
        url: 'https://www.pgbouncer.org/config.html',
        date: '2026-11',
      },
    },
    'home-router': {
      ...dropsSilently,
      ...uncertain,
      ...answersByRule,
      title: 'Home router (NAT)',
      idleTimeout: 4 * min,
      note: '4 min to more than a day; RFC 5382 requires at least 124 min',
      source: {
        title: 'An Experimental Study of Home Gateway Characteristics, IMC 2010; RFC 5382, REQ-5',
        url: 'https://www.rfc-editor.org/rfc/rfc5382#section-5',
        date: '2010-11',
      },
    },
    'mobile-carrier': {
      ...dropsSilently,
      ...uncertain,
      ...answersByRule,
      title: 'Mobile carrier (NAT, firewall)',
      idleTimeout: 5 * min,
      note: 'most carriers 30 min and more, some less than 5 min',
      source: {
        title: 'An Untold Story of Middleboxes in Cellular Networks, SIGCOMM 2011',
        url: 'https://doi.org/10.1145/2018436.2018479',
        date: '2011-08',
      },
    },
  }) as const satisfies Record<string, Omit<CatalogueHop, 'name'>>

/** The name of a hop in the catalogue. */
export type HopName = keyof ReturnType<typeof rows>

/** A hop of the catalogue. */
export interface CatalogueHop extends Hop {
  /** Its name in the catalogue. */
  readonly name: HopName
  /** How reliable the idle timeout is. */
  readonly certainty: Certainty
  /** The source of the number. */
  readonly source: Source
  /** The source of `answersProbes`. */
  readonly probeSource: ProbeSource
}

/** Every hop of the catalogue by its name. */
export type Catalogue = Readonly<Record<HopName, CatalogueHop>>

let made: Catalogue | undefined

/** All hops by name, frozen. */
export function catalogue(): Catalogue {
  made ??= Object.freeze(
    Object.fromEntries(Object.entries(rows()).map(([name, row]) => [name, Object.freeze({ name, ...row })])),
  ) as unknown as Catalogue
  return made
}
