"""Online quantile tracking: each outcome moves the quantile that it was compared with."""
def tracked(*a):
    return a[1],a[2]
