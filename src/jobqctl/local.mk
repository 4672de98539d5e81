# jobqctl: the operator's client
