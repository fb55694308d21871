def lognormal(p, name, shape):
    """log lambda ~ N(-1, 0.5^2): small scales, none of them zero, few of them large."""
    law = p.dist.LogNormal(-1.0, 0.5)
    law = law.expand(shape).to_event(len(shape))
    scales = p.sample(name, law)
    return scales
